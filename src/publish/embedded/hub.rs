//! What becomes of each packet: sessions, subscriptions, retained messages, wills. No socket and no clock: both come in.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant;

use super::limits::{
    INFLIGHT, LARGEST_OWN_PACKET, LARGEST_PACKET, LONGEST_CLIENT_ID, SESSIONS, SESSIONS_OF_ONE_ADDRESS,
};
use super::packet::{
    Ack, Connect, ConnectCode, PINGRESP, Packet, Publish, QoS, REFUSED_FILTER, ack, unsuback, write_suback,
};
use super::refusals::{Reason, Refusals, shown};
use super::retained::{BrokerMessage, Retained};
use super::rights::{Right, Rights};
use super::session::ClientSession;
use super::topic;
use crate::publish::settings::{Credentials, same};

/// A client's connection, never used twice.
pub(super) type SessionId = u64;

/// Why a connection ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Close {
    /// The client has said good-bye: its will is forgotten.
    Disconnect,
    /// Otherwise, or against the protocol: its will is published.
    Lost,
}

pub(super) struct Hub {
    rights: Rights,
    /// What the daemon's own client sends.
    own: Credentials,
    /// What other clients have to send.
    credentials: Option<Credentials>,
    sessions: BTreeMap<SessionId, ClientSession>,
    retained: Retained,
    refusals: Refusals,
    last: SessionId,
}

impl Hub {
    pub fn new(rights: Rights, own: Credentials, credentials: Option<Credentials>) -> Self {
        Self {
            rights,
            own,
            credentials,
            sessions: BTreeMap::new(),
            retained: Retained::default(),
            refusals: Refusals::default(),
            last: 0,
        }
    }

    pub fn refuse(&mut self, reason: Reason, now: Instant, what: impl FnOnce() -> String) {
        self.refusals.refuse(reason, now, what);
    }

    pub fn session(&mut self, id: SessionId) -> Option<&mut ClientSession> {
        self.sessions.get_mut(&id)
    }

    /// How many clients there are besides the daemon, and how many bytes are held for all and of retained messages.
    #[cfg(any(test, feature = "harness"))]
    pub fn held(&self) -> (usize, usize) {
        let sessions = self.sessions.values();
        let bytes: usize = sessions.map(ClientSession::held).sum();
        (self.sessions.values().filter(|session| !session.own).count(), bytes + self.retained.held())
    }

    /// The largest packet that the client may send.
    pub fn largest(&self, id: SessionId) -> usize {
        if self.sessions.get(&id).is_some_and(|session| session.own) {
            LARGEST_OWN_PACKET
        } else {
            LARGEST_PACKET
        }
    }

    /// Lets a client in.
    ///
    /// # Errors
    /// What to answer instead.
    pub fn connect(
        &mut self,
        connect: &Connect<'_>,
        address: IpAddr,
        now: Instant,
    ) -> Result<SessionId, ConnectCode> {
        let own = presents(connect, &self.own);
        if let Some(known) = self.credentials.as_ref().filter(|known| !own && !presents(connect, known)) {
            let user = known.username.clone();
            self.refuse(Reason::Credentials, now, || {
                format!("{address} has not sent the user name {user:?} with its password")
            });
            return Err(ConnectCode::BadCredentials);
        }
        let client_id = connect.client_id;
        let known = self.sessions.iter().find(|(_, session)| &*session.client_id == client_id);
        let known = known.map(|(id, session)| (*id, session.own));
        if client_id.len() > LONGEST_CLIENT_ID
            || (client_id.is_empty() && !connect.clean_session)
            || known.is_some_and(|(_, of_daemon)| of_daemon && !own)
        {
            self.refuse(Reason::ClientId, now, || {
                format!(
                    "{address} cannot have the client id {}: it is the daemon's, too long, or empty with a session to be \
                     kept",
                    shown(client_id)
                )
            });
            return Err(ConnectCode::BadClientId);
        }
        let will = match &connect.will {
            Some(will) if !self.may(own, will.topic) => {
                self.refuse(Reason::Topic, now, || {
                    format!(
                        "{} of {address} may not leave a last will on {}: add the topic to mqtt.embedded_topics if it may",
                        shown(client_id),
                        shown(will.topic)
                    )
                });
                return Err(ConnectCode::NotAuthorized);
            }
            Some(will) => Some((message(will.topic, will.payload, will.qos), will.retain)),
            None => None,
        };
        if let Some((id, _)) = known.filter(|_| !client_id.is_empty()) {
            // The old connection's will comes before anything that the new one says.
            self.close(id, Close::Lost, now);
        }
        if !own && !self.make_room(address, now) {
            self.refuse(Reason::Full, now, || {
                format!("no room for {address}: {SESSIONS} clients at most, {SESSIONS_OF_ONE_ADDRESS} of one address")
            });
            return Err(ConnectCode::Unavailable);
        }
        self.last += 1;
        let generated = format!("client-{}", self.last);
        let name = if client_id.is_empty() { &generated } else { client_id };
        let mut session = ClientSession::new(name, address, own, connect.keep_alive, now);
        session.will = will;
        self.sessions.insert(self.last, session);
        log::debug!("embedded broker: {} of {address} has connected", shown(name));
        Ok(self.last)
    }

    /// Whether one more client of this address has a place, after another was closed for it if need be.
    fn make_room(&mut self, address: IpAddr, now: Instant) -> bool {
        let of = |sessions: &BTreeMap<_, ClientSession>, address| {
            sessions.values().filter(|session| !session.own && session.address == address).count()
        };
        let others = self.sessions.values().filter(|session| !session.own).count();
        let from_here = of(&self.sessions, address);
        if others < SESSIONS && from_here < SESSIONS_OF_ONE_ADDRESS {
            return true;
        }
        // One address pays for itself; if all are full, the one with most pays, and with it those that nobody misses.
        let pays =
            |session: &ClientSession| from_here < SESSIONS_OF_ONE_ADDRESS || session.address == address;
        let worth = |(id, session): (&SessionId, &ClientSession)| {
            let worth = session.worth(now).filter(|_| pays(session))?;
            Some((worth.0, usize::MAX - of(&self.sessions, session.address), worth.1, *id))
        };
        let Some((.., id)) = self.sessions.iter().filter_map(worth).min() else { return false };
        self.refuse(Reason::MadeRoom, now, || {
            format!("a client that subscribes to nothing, or reads nothing, is disconnected to make room for {address}")
        });
        self.close(id, Close::Lost, now);
        true
    }

    fn may(&self, own: bool, topic: &str) -> bool {
        topic::is_topic(topic) && (own || self.rights.of_client(topic).is_some())
    }

    /// Handles one packet; what is to be answered at once is appended to `out`.
    ///
    /// # Errors
    /// If the connection is to be closed.
    pub fn receive(
        &mut self,
        id: SessionId,
        packet: Packet<'_>,
        out: &mut Vec<u8>,
        now: Instant,
    ) -> Result<(), Close> {
        let session = self.sessions.get_mut(&id).ok_or(Close::Lost)?;
        session.heard = now;
        session.spend(1);
        match packet {
            Packet::Publish(publish) => return self.publish(id, &publish, out, now),
            Packet::Ack(Ack::Publish, packet) => session.acknowledged(packet),
            Packet::Ack(Ack::Release, packet) => {
                session.unreleased.retain(|known| *known != packet);
                out.extend_from_slice(&ack(Ack::Complete, packet));
            }
            // Nothing is sent at QoS 2.
            Packet::Ack(Ack::Received | Ack::Complete, _) => {}
            Packet::Subscribe(packet, filters) => {
                session.spend(filters.len());
                let mut refused = None;
                let mut codes = Vec::with_capacity(filters.len());
                for (filter, qos) in filters {
                    let granted =
                        if topic::is_filter(filter) { session.subscribe(filter, qos) } else { None };
                    codes.push(granted.map_or(REFUSED_FILTER, |qos| qos as u8));
                    if granted.is_none() {
                        refused = Some(filter);
                    }
                }
                write_suback(out, packet, &codes);
                let client = Rc::clone(&session.client_id);
                if let Some(filter) = refused {
                    self.refuse(Reason::Subscriptions, now, || {
                        format!(
                            "{} cannot subscribe to {}: it is no filter, or the client has too many",
                            shown(&client),
                            shown(filter)
                        )
                    });
                }
            }
            Packet::Unsubscribe(packet, filters) => {
                session.spend(filters.len());
                filters.iter().for_each(|filter| session.unsubscribe(filter));
                out.extend_from_slice(&unsuback(packet));
            }
            Packet::Ping => out.extend_from_slice(&PINGRESP),
            Packet::Disconnect => return Err(Close::Disconnect),
            Packet::Connect(_) => return Err(Close::Lost),
        }
        Ok(())
    }

    fn publish(
        &mut self,
        id: SessionId,
        publish: &Publish<'_>,
        out: &mut Vec<u8>,
        now: Instant,
    ) -> Result<(), Close> {
        let Some(session) = self.sessions.get_mut(&id) else { return Err(Close::Lost) };
        let mut repeated = false;
        match publish.qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => out.extend_from_slice(&ack(Ack::Publish, publish.id)),
            QoS::ExactlyOnce => {
                repeated = session.unreleased.contains(&publish.id);
                if !repeated {
                    if session.unreleased.len() >= INFLIGHT {
                        return Err(Close::Lost);
                    }
                    session.unreleased.push(publish.id);
                }
                out.extend_from_slice(&ack(Ack::Received, publish.id));
            }
        }
        let (own, client, address) = (session.own, Rc::clone(&session.client_id), session.address);
        if repeated {
            return Ok(());
        }
        if !self.may(own, publish.topic) {
            // MQTT 3.1.1 has no negative answer: acknowledged and dropped, so that the rest of what this client does works.
            self.refuse(Reason::Topic, now, || {
                format!(
                    "{} of {address} may not publish on {}: what it sent is dropped; add the topic to mqtt.embedded_topics if \
                     it may",
                    shown(&client),
                    shown(publish.topic)
                )
            });
            return Ok(());
        }
        let message = message(publish.topic, publish.payload, publish.qos);
        self.distribute(&message, publish.retain, own, now);
        Ok(())
    }

    /// Sends a message to its subscribers, and keeps it if it is retained.
    fn distribute(&mut self, message: &Rc<BrokerMessage>, retain: bool, own: bool, now: Instant) {
        let command = !own && self.rights.of_client(&message.topic) == Some(Right::Command);
        if retain && !command && !self.retained.keep(message, own) {
            self.refuse(Reason::Retained, now, || {
                format!(
                    "a retained message on {} is not kept: clients have too many of them, or too large ones",
                    shown(&message.topic)
                )
            });
        }
        let mut slow = None;
        for session in self.sessions.values_mut() {
            if session.offer(message, now) {
                slow = Some(Rc::clone(&session.client_id));
            }
        }
        if let Some(client) = slow {
            self.refuse(Reason::Slow, now, || {
                format!("{} reads too slowly: its oldest messages are dropped", shown(&client))
            });
        }
    }

    /// Ends a session. Its connection notices by itself.
    pub fn close(&mut self, id: SessionId, close: Close, now: Instant) {
        let Some(mut session) = self.sessions.remove(&id) else { return };
        session.wake.notify_one();
        log::debug!("embedded broker: {} has disconnected ({close:?})", shown(&session.client_id));
        if let Some((will, retain)) = session.will.take().filter(|_| close == Close::Lost) {
            self.distribute(&will, retain, session.own, now);
        }
    }

    /// Appends what the client may be sent now.
    pub fn fill(&mut self, id: SessionId, out: &mut Vec<u8>, now: Instant) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.fill(out, &self.retained, now);
        }
    }
}

fn message(topic: &str, payload: &[u8], qos: QoS) -> Rc<BrokerMessage> {
    Rc::new(BrokerMessage { topic: topic.into(), payload: payload.into(), qos })
}

/// Whether a client has sent these credentials. Compares in a time that depends on the lengths alone.
fn presents(connect: &Connect<'_>, known: &Credentials) -> bool {
    let username = connect.username.unwrap_or_default().as_bytes();
    let password = connect.password.unwrap_or_default();
    same(username, known.username.as_bytes()) & same(password, known.password.expose().as_bytes())
}
