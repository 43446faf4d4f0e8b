//! A camera that is pulled out and plugged in a hundred times costs the daemon nothing that it keeps.

use crate::broker::Broker;
use crate::guest::Guest;
use crate::support::mosquitto::Mosquitto;
use crate::{CONFIG, a_happy_face};

const CYCLES: usize = 100;

/// Memory may go up and down by so much, kB: a frame of JPEG is in the works or not, the allocator keeps a page or not. A
/// single mapping of a frame's buffer (614 kB) that were kept each time would come to a hundred times more.
const LEVEL: u64 = 1024;

/// What the daemon held after a cycle.
#[derive(Clone, Copy, Debug)]
struct Held {
    files: u64,
    resident: u64,
    mappings: u64,
    threads: u64,
}

fn held(line: &str) -> Held {
    let numbers: Vec<u64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
    let [_cycle, files, resident, mappings, threads] = numbers[..] else { panic!("{line}") };
    Held { files, resident, mappings, threads }
}

#[test]
#[ignore = "boots a virtual machine; run with --ignored"]
fn a_hundred_cycles_of_the_plug_leak_nothing() {
    let mosquitto = Mosquitto::start();
    let broker = Broker::of(&mosquitto);
    // As little as may be for the emulated processor to do but opening and closing the camera.
    let config = CONFIG.replace("rate = 1.0", "rate = 0.1");
    let mut guest = Guest::boot_with(mosquitto.port(), &config, include_str!("cycles.sh"), |_| {});
    // Ten cycles get the time of one step.
    for cycle in (10..=CYCLES).step_by(10) {
        let what = format!("{cycle} cycles");
        guest.until(&what, |guest| (guest.read("held").matches('\n').count() >= cycle).then_some(()));
    }
    let lines = guest.read("held");
    let held: Vec<Held> = lines.lines().map(held).collect();
    assert_eq!(held.len(), CYCLES);
    broker.summary("after all cycles", broker.seen(), a_happy_face);
    assert!(guest.end().success(), "emotiond's exit code is not 0");

    let greatest =
        |from: usize, to: usize, of: fn(&Held) -> u64| held[from..to].iter().map(of).max().unwrap();
    for (what, of, slack) in [
        ("open files", (|held: &Held| held.files) as fn(&Held) -> u64, 0),
        ("kB resident", |held: &Held| held.resident, LEVEL),
        ("memory mappings", |held: &Held| held.mappings, 4),
        ("threads", |held: &Held| held.threads, 0),
    ] {
        let (early, late) = (greatest(9, 30, of), greatest(80, CYCLES, of));
        eprintln!("{what}: at most {early} in cycles 10 to 30, {late} in cycles 81 to 100");
        assert!(late <= early + slack, "{what} grow from {early} to {late}:\n{lines}");
    }
    let log = guest.read("emotiond.log");
    for (words, times) in [("camera lost", CYCLES), ("camera is back", CYCLES), ("panicked", 0)] {
        assert_eq!(log.matches(words).count(), times, "{words:?} in {log}");
    }
    broker.no_window_is_missing();
}
