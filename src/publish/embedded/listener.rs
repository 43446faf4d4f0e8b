//! Accepts connections, and keeps those that have not said who they are from taking the place of others.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::connection::Connection;
use super::hub::Hub;
use super::limits::PENDING;
use super::refusals::Reason;

/// The wait after a failed accept: the process has too many files open, or the other side has gone.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A connection that has not been accepted as a client yet.
struct Waiting {
    number: u64,
    address: IpAddr,
    /// Closes it.
    evict: Rc<Notify>,
}

/// Accepts for ever. The connections are local tasks of their own.
pub(super) async fn accept(listener: TcpListener, hub: Hub) {
    let hub = Rc::new(RefCell::new(hub));
    let waiting: Rc<RefCell<Vec<Waiting>>> = Rc::default();
    for number in 0.. {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                log::debug!("embedded broker: failed to accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let _slower_without = stream.set_nodelay(true);
        let address = origin(peer.ip());
        if waiting.borrow().len() >= PENDING {
            evict(&mut waiting.borrow_mut());
            hub.borrow_mut().refuse(Reason::Pending, Instant::now(), || {
                format!("more than {PENDING} connections send no CONNECT, {address} was the last: the oldest is closed")
            });
        }
        let evicted = Rc::new(Notify::new());
        waiting.borrow_mut().push(Waiting { number, address, evict: Rc::clone(&evicted) });
        let mut connection = Connection::new(stream, address, Rc::clone(&hub));
        let all = Rc::clone(&waiting);
        tokio::task::spawn_local(async move {
            let session = tokio::select! {
                session = connection.greet() => session,
                () = evicted.notified() => None,
            };
            all.borrow_mut().retain(|waiting| waiting.number != number);
            if let Some(session) = session {
                connection.serve(session).await;
            }
        });
    }
}

/// Closes the oldest connection of the address that has most.
fn evict(waiting: &mut Vec<Waiting>) {
    let of = |address| waiting.iter().filter(|other| other.address == address).count();
    let most = waiting.iter().map(|one| of(one.address)).max();
    if let Some(oldest) = waiting.iter().position(|one| Some(of(one.address)) == most) {
        waiting.remove(oldest).evict.notify_one();
    }
}

/// What counts as one address: a machine has a whole network of IPv6 addresses to choose from.
fn origin(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) if !ip.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_counts_as_one_address() {
        let of = |text: &str| origin(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::9"));
        assert_eq!(of("::ffff:10.0.0.7"), "10.0.0.7");
        assert_eq!(of("::1"), "::1");
    }

    #[test]
    fn the_oldest_of_the_address_with_most_has_to_go() {
        let mut waiting = Vec::new();
        for (number, ip) in ["10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.3"].into_iter().enumerate() {
            let address = ip.parse().unwrap();
            waiting.push(Waiting { number: number as u64, address, evict: Rc::default() });
        }
        evict(&mut waiting);
        assert_eq!(waiting.iter().map(|one| one.number).collect::<Vec<_>>(), [0, 2, 3]);
    }
}
