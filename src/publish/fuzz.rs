//! What fuzzing tries of this room, which is otherwise private: each takes bytes and panics over a broken promise.

pub use super::embedded::fuzz::{clients, packet};
pub use super::mqtt::fuzz::hostile_broker;
pub use super::queue::fuzz::{queue_folder, segment_file};

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Tries every file of `fuzz/seeds/<target>`: what a target began with, and what it has found.
    fn seeds(target: &str, attempt: impl Fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
        let mut tried = 0;
        for seed in std::fs::read_dir(folder).unwrap() {
            attempt(&std::fs::read(seed.unwrap().path()).unwrap());
            tried += 1;
        }
        assert!(tried > 1, "{target} has no seeds");
    }

    #[test]
    fn hostile_clients_break_no_promise() {
        seeds("packet", packet);
        seeds("clients", clients);
    }

    #[test]
    fn a_hostile_broker_loses_doubles_and_blocks_nothing() {
        seeds("broker", |data| {
            let (sender, receiver) = flume::bounded(28);
            hostile_broker(&rumqttc::Client::from_sender(sender), &mut || receiver.try_recv().ok(), data);
        });
    }

    #[test]
    fn a_damaged_queue_opens_and_holds_what_can_be_read() {
        seeds("segment", segment_file);
        seeds("queue", |data| queue_folder(tempfile::tempdir().unwrap().path(), data));
    }
}
