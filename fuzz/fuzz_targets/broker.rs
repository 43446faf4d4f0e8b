//! A hostile broker: whatever it sends, nothing is lost, doubled or stuck once there is an honest one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rumqttc::Client;

fuzz_target!(|data: &[u8]| {
    // As large as the session makes it.
    let (sender, receiver) = flume::bounded(28);
    let client = Client::from_sender(sender);
    emotiond::publish::fuzz::hostile_broker(&client, &mut || receiver.try_recv().ok(), data);
});
