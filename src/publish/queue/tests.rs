//! The queue on a disk that is a map: what is sent, written, read and dropped when.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::store::Stored;
use super::*;
use emotiond_core::report::payload::{Message, Topic};

/// What a file holds; outlives the queue as a file outlives a process.
type Medium = BTreeMap<u64, Stored>;

fn summary(number: usize) -> Outgoing {
    Outgoing::new(
        Message { topic: Topic::Summary, body: number.to_string() },
        &"hall".parse().expect("a device name"),
    )
}

/// How the disk answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mood {
    Good,
    /// Full: reads only.
    Full,
    /// Nothing works.
    Broken,
}

/// Does a job as [`Store`](store::Store) would.
fn perform(job: &DiskJob, medium: &mut Medium, mood: Mood) -> DiskResult {
    let fault = || StoreError::Unavailable("no luck".into());
    match job {
        DiskJob::Open if mood == Mood::Broken => DiskResult::Opened(Err(fault())),
        DiskJob::Open => DiskResult::Opened(Ok(StoreContent {
            first: medium.keys().next().copied().unwrap_or(0),
            next: medium.keys().last().map_or(0, |last| last + 1),
            count: medium.len() as u64,
            damage: None,
        })),
        DiskJob::Write(change)
            if mood == Mood::Full
                && change.put.is_empty()
                && medium.keys().all(|key| change.remove.contains(key)) =>
        {
            // What is empty can be cleared, even on a full disk.
            medium.clear();
            DiskResult::Written(Ok(0))
        }
        DiskJob::Write(_) if mood != Mood::Good => DiskResult::Written(Err(fault())),
        DiskJob::Write(change) => {
            medium.extend(change.put.iter().map(|stored| (stored.key, stored.clone())));
            change.remove.iter().for_each(|key| {
                medium.remove(key);
            });
            let oldest: Vec<u64> = match &change.trim {
                Some((keys, most)) => {
                    medium.range(keys.clone()).map(|(key, _)| *key).take(*most as usize).collect()
                }
                None => Vec::new(),
            };
            oldest.iter().for_each(|key| {
                medium.remove(key);
            });
            DiskResult::Written(Ok(oldest.len() as u64))
        }
        DiskJob::Load { .. } if mood == Mood::Broken => DiskResult::Loaded(Err(fault())),
        DiskJob::Load { keys, most } => {
            let summaries = medium.range(keys.clone()).take(*most).map(|(_, stored)| stored.clone());
            DiskResult::Loaded(Ok(Loaded { summaries: summaries.collect(), damaged: Vec::new() }))
        }
        DiskJob::Close => DiskResult::Closed,
    }
}

/// A queue, its disk, and a broker that takes what it is sent.
struct World {
    queue: Queue,
    limit: u64,
    memory: usize,
    medium: Medium,
    mood: Mood,
    now: Instant,
    job: Option<DiskJob>,
    connected: bool,
    packet: u16,
    unnumbered: VecDeque<usize>,
    wire: VecDeque<(u16, usize)>,
    pushed: usize,
    /// What the broker has received, doubles included.
    received: Vec<usize>,
    /// What a kill found in memory alone.
    lost: BTreeSet<usize>,
}

impl World {
    fn new(memory: usize, limit: u64) -> Self {
        Self {
            queue: Queue::new(memory, Some(limit)),
            limit,
            memory,
            medium: Medium::new(),
            mood: Mood::Good,
            now: Instant::now(),
            job: None,
            connected: false,
            packet: 0,
            unnumbered: VecDeque::new(),
            wire: VecDeque::new(),
            pushed: 0,
            received: Vec::new(),
            lost: BTreeSet::new(),
        }
    }

    fn push(&mut self, count: usize) {
        for _ in 0..count {
            self.queue.push(summary(self.pushed), self.now);
            self.pushed += 1;
        }
    }

    fn connect(&mut self) {
        if !self.connected {
            self.queue.connected();
            self.connected = true;
        }
    }

    /// The broker has received the first few of what it had not acknowledged.
    fn disconnect(&mut self, unacknowledged: usize) {
        self.received.extend(self.wire.drain(..).take(unacknowledged).map(|(_, number)| number));
        self.unnumbered.clear();
        self.queue.disconnected(self.now);
        self.connected = false;
    }

    fn send(&mut self) -> bool {
        let Some(message) = self.queue.next() else { return false };
        self.unnumbered.push_back(message.body.parse().expect("a number"));
        true
    }

    fn number(&mut self) {
        if let Some(number) = self.unnumbered.pop_front() {
            self.packet = self.packet.wrapping_add(1);
            self.queue.sent(self.packet);
            self.wire.push_back((self.packet, number));
        }
    }

    fn acknowledge(&mut self) {
        if let Some((packet, number)) = self.wire.pop_front() {
            self.received.push(number);
            self.queue.acknowledged(packet, self.now);
        }
    }

    fn begin(&mut self) -> bool {
        if self.job.is_none() {
            self.job = self.queue.job(self.now);
        }
        self.job.is_some()
    }

    fn end(&mut self) {
        if let Some(job) = self.job.take() {
            self.queue.done(perform(&job, &mut self.medium, self.mood), self.now);
        }
    }

    /// Lets the disk do all it has to do at this moment.
    fn settle(&mut self) {
        for _ in 0..1000 {
            self.end();
            if !self.begin() {
                return;
            }
        }
        panic!("the disk finds no rest: {:?}", self.job);
    }

    /// Ends the process; of a write that is being made, the removals and the first `written` summaries are on disk.
    fn kill(&mut self, written: usize) {
        self.disconnect(0);
        if let Some(mut job) = self.job.take().filter(|_| written > 0) {
            if let DiskJob::Write(change) = &mut job {
                change.put.truncate(written);
            }
            perform(&job, &mut self.medium, self.mood);
        }
        let safe: BTreeSet<usize> = self.numbers_on_disk().chain(self.received.iter().copied()).collect();
        self.lost.extend((0..self.pushed).filter(|number| !safe.contains(number)));
        self.queue = Queue::new(self.memory, Some(self.limit));
    }

    fn numbers_on_disk(&self) -> impl Iterator<Item = usize> {
        self.medium.values().map(|stored| stored.body.parse().expect("a number"))
    }

    /// With disk and broker at their best, until nothing waits.
    fn deliver(&mut self) {
        self.mood = Mood::Good;
        self.connect();
        for _ in 0..10_000 {
            self.now += Duration::from_secs(1);
            self.settle();
            while self.send() {}
            while !self.unnumbered.is_empty() || !self.wire.is_empty() {
                self.number();
                self.acknowledge();
            }
            if self.queue.waiting() == 0 {
                self.now += RETRY + REMOVAL.0;
                self.settle();
                return;
            }
        }
        panic!("{} are never delivered: {:?}", self.queue.waiting(), self.queue);
    }

    fn received_once(&self) -> Vec<usize> {
        let mut seen = BTreeSet::new();
        self.received.iter().copied().filter(|number| seen.insert(*number)).collect()
    }
}

#[test]
fn nothing_is_written_while_the_broker_acknowledges() {
    let mut world = World::new(100, 1000);
    world.settle();
    world.connect();
    for _ in 0..100 {
        world.push(1);
        assert!(world.send());
        world.number();
        world.now += UNACKNOWLEDGED - Duration::from_millis(1);
        assert!(!world.begin());
        world.acknowledge();
        assert!(!world.begin());
    }
    assert_eq!(world.received, (0..100).collect::<Vec<_>>());
    assert!(world.queue.deadline(world.now).is_none());
}

#[test]
fn a_broker_that_does_not_acknowledge_makes_it_write_after_a_while() {
    let mut world = World::new(100, 1000);
    world.settle();
    world.connect();
    world.push(1);
    assert!(world.send());
    assert_eq!(world.queue.deadline(world.now), Some(world.now + UNACKNOWLEDGED));
    world.now += UNACKNOWLEDGED;
    world.settle();
    assert_eq!(world.numbers_on_disk().collect::<Vec<_>>(), [0]);
    assert_eq!((world.queue.waiting(), world.queue.on_disk(), world.queue.unwritten()), (1, Some(1), 0));
    world.number();
    world.acknowledge();
    assert_eq!(world.queue.waiting(), 0);
    world.now += REMOVAL.0;
    world.settle();
    assert_eq!(world.medium.len(), 0);
}

#[test]
fn an_outage_is_written_at_once_and_outlasts_a_kill() {
    let mut world = World::new(1000, 1000);
    world.settle();
    world.connect();
    world.push(3);
    while world.send() {}
    world.number();
    world.acknowledge();
    world.disconnect(0);
    world.push(200);
    world.settle();
    assert_eq!(world.numbers_on_disk().collect::<Vec<_>>(), (1..203).collect::<Vec<_>>());
    world.kill(0);
    world.push(5);
    world.deliver();
    assert_eq!(world.received, (0..208).collect::<Vec<_>>());
    assert!(world.medium.is_empty() && world.lost.is_empty());
}

#[test]
fn beyond_the_bound_the_oldest_go_and_are_counted() {
    let mut world = World::new(1000, 20);
    world.settle();
    for _ in 0..50 {
        world.push(1);
        world.settle();
        assert!(world.medium.len() <= 20, "{}", world.medium.len());
    }
    assert_eq!(world.queue.dropped().summaries, 30);
    // A shorter bound after a restart holds for what is there already.
    world.limit = 10;
    world.kill(0);
    world.settle();
    assert_eq!((world.medium.len(), world.queue.dropped().summaries), (10, 10));
    world.deliver();
    assert_eq!(world.received, (40..50).collect::<Vec<_>>());
}

#[test]
fn a_full_disk_costs_no_order_and_no_summary_that_fits_into_memory() {
    let mut world = World::new(50, 1000);
    world.push(30);
    world.settle();
    world.mood = Mood::Full;
    world.push(60);
    world.settle();
    assert_eq!((world.queue.disk(), world.queue.on_disk()), (Disk::Failing, Some(30)));
    assert_eq!((world.queue.waiting(), world.queue.dropped().summaries), (80, 10));
    world.connect();
    world.settle();
    for _ in 0..2000 {
        while world.send() {}
        world.number();
        world.acknowledge();
        world.settle();
    }
    let expected: Vec<_> = (0..30).chain(40..90).collect();
    assert_eq!(world.received, expected);
    // It is tried again after a while: an emptied file needs no room.
    assert_eq!(world.queue.disk(), Disk::Failing);
    world.now += RETRY;
    world.settle();
    assert_eq!((world.queue.disk(), world.medium.len()), (Disk::Ok, 0));
}

#[test]
fn what_is_live_goes_past_a_disk_that_is_out_of_reach() {
    let mut world = World::new(50, 1000);
    world.push(5);
    world.settle();
    world.connect();
    world.mood = Mood::Broken;
    world.settle();
    assert_eq!(world.queue.disk(), Disk::Failing);
    world.push(2);
    while world.send() {}
    for _ in 0..2 {
        world.number();
        world.acknowledge();
    }
    assert_eq!(world.received, [5, 6]);
    world.now += RETRY;
    world.deliver();
    assert_eq!(world.received, [5, 6, 0, 1, 2, 3, 4]);
    assert_eq!(world.queue.disk(), Disk::Ok);
}

#[test]
fn files_that_are_gone_cost_what_they_held_and_no_more() {
    let mut world = World::new(100, 1000);
    world.push(7);
    world.settle();
    world.connect();
    assert!(world.begin(), "it reads what it holds");
    world.medium.clear();
    world.job = None;
    world.queue.done(DiskResult::Loaded(Err(StoreError::Lost("a file".into()))), world.now);
    world.push(1);
    world.deliver();
    assert_eq!(world.received, [7]);
    assert_eq!((world.queue.disk(), world.queue.dropped().summaries), (Disk::Replaced, 7));
}

#[test]
fn a_stop_writes_what_is_left_and_closes_the_file() {
    for mood in [Mood::Good, Mood::Full, Mood::Broken] {
        let mut world = World::new(1000, 1000);
        world.settle();
        world.connect();
        world.push(300);
        while world.send() {}
        world.mood = mood;
        world.disconnect(0);
        world.queue.stop();
        world.settle();
        assert!(world.queue.ended());
        let written = if mood == Mood::Good { 300 } else { 0 };
        assert_eq!((world.medium.len(), world.queue.unwritten()), (written, 300 - written), "{mood:?}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Connect,
    Disconnect(usize),
    Send,
    Number,
    Acknowledge,
    Begin,
    End,
    Settle,
    Wait(u64),
    Mood(Mood),
    Kill(usize),
}

fn step(moods: &'static [Mood], kills: bool) -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..4_usize).prop_map(Step::Push),
        1 => (20..90_usize).prop_map(Step::Push),
        3 => Just(Step::Connect),
        2 => (0..20_usize).prop_map(Step::Disconnect),
        6 => Just(Step::Send),
        6 => Just(Step::Number),
        5 => Just(Step::Acknowledge),
        4 => Just(Step::Begin),
        4 => Just(Step::End),
        2 => Just(Step::Settle),
        2 => (100..80_000_u64).prop_map(Step::Wait),
        2 => prop::sample::select(moods).prop_map(Step::Mood),
        1 => (0..6_usize).prop_map(move |written| if kills { Step::Kill(written) } else { Step::Settle }),
    ]
}

fn play(world: &mut World, steps: Vec<Step>) {
    for step in steps {
        match step {
            Step::Push(count) => world.push(count),
            Step::Connect => world.connect(),
            Step::Disconnect(unacknowledged) => world.disconnect(unacknowledged),
            Step::Send => (0..5).for_each(|_| {
                world.send();
            }),
            Step::Number => (0..5).for_each(|_| world.number()),
            Step::Acknowledge => (0..5).for_each(|_| world.acknowledge()),
            Step::Begin => {
                world.begin();
            }
            Step::End => world.end(),
            Step::Settle => {
                world.settle();
                if !world.connected && world.mood == Mood::Good && world.queue.disk() == Disk::Ok {
                    assert_eq!(world.queue.unwritten(), 0, "an outage is on disk");
                }
            }
            Step::Wait(milliseconds) => world.now += Duration::from_millis(milliseconds),
            Step::Mood(mood) => world.mood = mood,
            Step::Kill(written) => world.kill(written),
        }
    }
}

proptest! {
    /// Whatever happens to connection and process: what was on disk or acknowledged arrives, in order, and on a disk
    /// that may be full at times too.
    #[test]
    fn nothing_written_is_lost_or_out_of_order(
        steps in prop::collection::vec(step(&[Mood::Good, Mood::Good, Mood::Full], true), 0..300)
    ) {
        let mut world = World::new(1_000_000, 1_000_000);
        play(&mut world, steps);
        world.deliver();
        let expected: Vec<_> = (0..world.pushed).filter(|number| !world.lost.contains(number)).collect();
        prop_assert_eq!(world.received_once(), expected);
        prop_assert_eq!(world.queue.dropped().total(), 0);
        prop_assert!(world.medium.is_empty());
    }

    /// The same on a disk that breaks at any time, without kills: order may suffer, nothing else.
    #[test]
    fn a_broken_disk_loses_nothing_that_memory_holds(
        steps in prop::collection::vec(step(&[Mood::Good, Mood::Full, Mood::Broken], false), 0..300)
    ) {
        let mut world = World::new(1_000_000, 1_000_000);
        play(&mut world, steps);
        world.deliver();
        let mut received = world.received_once();
        received.sort_unstable();
        prop_assert_eq!(received, (0..world.pushed).collect::<Vec<_>>());
        prop_assert!(world.medium.is_empty());
    }

    /// Under a small bound, every summary arrives or is counted as dropped, and order holds.
    #[test]
    fn what_does_not_arrive_is_counted(
        limit in 1..200_u64,
        memory in 16..100_usize,
        steps in prop::collection::vec(step(&[Mood::Good, Mood::Good, Mood::Full], false), 0..300)
    ) {
        let mut world = World::new(memory, limit);
        play(&mut world, steps);
        world.deliver();
        let received = world.received_once();
        prop_assert!(received.is_sorted());
        // One that was dropped while the broker had it without our knowledge counts twice; no other may.
        let counted = received.len() + world.queue.dropped().summaries as usize;
        prop_assert!(counted >= world.pushed, "{} of {}", counted, world.pushed);
        prop_assert!(world.medium.is_empty());
    }
}
