use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::report::observation::{CameraState, Observation, Skipped};
use crate::report::policy::Site;
use crate::report::reading::Reading;
use crate::report::summary::{Summary, SummarySettings, Windows};

fn ms(ms: u64) -> Moment {
    Moment::from_millis(ms)
}

fn settings(policy: Policy) -> SummarySettings {
    SummarySettings { grace: Duration::ZERO, policy, ..SummarySettings::default() }
}

/// What somebody does in one frame: is not there, looks away, faces the camera.
type Act = Option<bool>;

/// People as a tracker would follow them: three frames unseen end a track, and who comes back begins another.
struct Room {
    windows: Windows,
    tracks: BTreeMap<usize, (TrackId, Moment, Moment, u32)>,
    next: u64,
    /// Frame by frame, what each track did.
    history: BTreeMap<TrackId, Vec<(usize, Moment, bool)>>,
    frame: usize,
}

impl Room {
    fn new(settings: SummarySettings) -> Self {
        let windows = Windows::new(settings, ms(0));
        Self { windows, tracks: BTreeMap::new(), next: 1, history: BTreeMap::new(), frame: 0 }
    }

    fn frame(&mut self, at: Moment, acts: &[Act]) {
        self.frame += 1;
        let mut faces = Vec::new();
        for (person, act) in acts.iter().enumerate() {
            let Some(facing) = *act else {
                let Some((track, first, last, missed)) = self.tracks.get_mut(&person) else { continue };
                *missed += 1;
                if *missed == 3 {
                    self.windows.passage(Passage::Ended { track: *track, first: *first, last: *last });
                    self.tracks.remove(&person);
                }
                continue;
            };
            let next = &mut self.next;
            let windows = &mut self.windows;
            let (track, _, last, missed) = self.tracks.entry(person).or_insert_with(|| {
                let track = TrackId(*next);
                *next += 1;
                windows.passage(Passage::Began { track, at });
                (track, at, at, 0)
            });
            (*last, *missed) = (at, 0);
            self.history.entry(*track).or_default().push((self.frame, at, facing));
            faces.push(Observation {
                track: *track,
                facing,
                scores: None,
                sequences: Vec::new(),
                reading: Reading::No,
            });
        }
        self.windows.frame(&FrameAnalysis { at, faces, skipped: Skipped::default() });
    }

    fn everybody_goes(&mut self) {
        for (track, first, last, _) in core::mem::take(&mut self.tracks).into_values() {
            self.windows.passage(Passage::Ended { track, first, last });
        }
    }

    /// Dwell and facing time of every visit, by a sum of its own.
    fn whole(&self, hold: Duration) -> Vec<(Duration, Duration)> {
        let counted = self.history.values().filter(|frames| frames.len() >= 2);
        let both = |frames: &Vec<(usize, Moment, bool)>| {
            let steps = frames
                .windows(2)
                .filter(|pair| pair[0].2 && pair[1].0 == pair[0].0 + 1 && pair[1].1 - pair[0].1 <= hold);
            (frames[frames.len() - 1].1 - frames[0].1, steps.map(|pair| pair[1].1 - pair[0].1).sum())
        };
        counted.map(both).collect()
    }
}

/// What all windows say together.
fn sum(summaries: &[Summary]) -> (u32, u32, Times, Times) {
    let (mut began, mut watchers, mut dwell, mut facing) = (0, 0, Times::default(), Times::default());
    let add = |sum: &mut Times, times: Option<&Times>| {
        let Some(times) = times else { return };
        sum.ended += times.ended;
        sum.total += times.total;
        sum.histogram.iter_mut().zip(times.histogram).for_each(|(sum, count)| *sum += count);
    };
    for visits in summaries.iter().filter_map(|summary| summary.visits.as_ref()) {
        began += visits.began;
        watchers += visits.watchers.unwrap_or(0);
        add(&mut dwell, visits.dwell.as_ref());
        add(&mut facing, visits.facing.as_ref());
    }
    (began, watchers, dwell, facing)
}

fn times(all: impl Iterator<Item = Duration>) -> Times {
    let mut times = Times::default();
    all.for_each(|time| times.add(time));
    times
}

fn acts() -> impl Strategy<Value = Vec<(u64, Vec<Act>)>> {
    let act = prop_oneof![2 => Just(None), 1 => Just(Some(false)), 3 => Just(Some(true))];
    // Each act lasts for some frames, so that visits are longer than a moment.
    let scene = (1_usize..30, prop::collection::vec(act, 4), 20_u64..1500);
    prop::collection::vec(scene, 1..12).prop_map(|scenes| {
        let frames =
            |(count, acts, step): (usize, Vec<Act>, u64)| (0..count).map(move |_| (step, acts.clone()));
        scenes.into_iter().flat_map(frames).collect()
    })
}

proptest! {
    /// Whatever the windows: each visit is told of once, with its whole time.
    #[test]
    fn sums_over_windows_are_the_whole(frames in acts(), window in 300_u64..20_000) {
        let settings = SummarySettings { window: Duration::from_millis(window), ..settings(Policy::default()) };
        let hold = settings.hold;
        let mut room = Room::new(settings);
        let (mut now, mut summaries) = (0, Vec::new());
        for (step, acts) in &frames {
            now += step;
            room.frame(ms(now), acts);
            if now % 3 == 0 {
                summaries.extend(room.windows.advance(ms(now)));
            }
        }
        room.everybody_goes();
        let whole = room.whole(hold);
        summaries.extend(room.windows.finish(ms(now + 1)));
        let (began, watchers, dwell, facing) = sum(&summaries);
        prop_assert_eq!(began as usize, whole.len());
        prop_assert_eq!(watchers as usize, whole.iter().filter(|(_, facing)| *facing >= WATCHED).count());
        prop_assert_eq!(dwell, times(whole.iter().map(|(dwell, _)| *dwell)));
        prop_assert_eq!(facing, times(whole.iter().map(|(_, facing)| *facing)));
        for visits in summaries.iter().filter_map(|summary| summary.visits.as_ref()) {
            prop_assert!(visits.attraction().is_none_or(|share| (0.0..=1.0).contains(&share)));
            let ended = visits.dwell.as_ref().unwrap();
            prop_assert_eq!(ended.histogram.iter().sum::<u32>(), ended.ended);
        }
    }

    /// With `min_people`, nothing is told of fewer visits, nor of visits without company, and nothing is told twice.
    #[test]
    fn fewer_than_min_people_are_never_told_of(frames in acts(), least in 2_u32..4, window in 300_u64..20_000) {
        let policy = Policy { min_people: least, ..Policy::default() };
        let settings = SummarySettings { window: Duration::from_millis(window), ..settings(policy) };
        let mut room = Room::new(settings);
        let (mut now, mut most) = (0, 0);
        for (step, acts) in &frames {
            now += step;
            room.frame(ms(now), acts);
            most = most.max(acts.iter().flatten().count());
        }
        room.everybody_goes();
        let visits = room.history.values().filter(|frames| frames.len() >= 2).count();
        let summaries = room.windows.finish(ms(now + 1));
        let (began, _, dwell, _) = sum(&summaries);
        prop_assert_eq!(began as usize, visits);
        prop_assert!(dwell.ended as usize <= visits);
        prop_assert!(most >= least as usize || dwell.ended == 0);
        for summary in &summaries {
            let Some(visits) = &summary.visits else { continue };
            let max = summary.faces.as_ref().unwrap().max;
            prop_assert!(visits.dwell.as_ref().is_none_or(|dwell| dwell.ended == 0 || dwell.ended >= least));
            prop_assert_eq!(visits.dwell.is_some(), visits.facing.is_some());
            prop_assert!(visits.watchers.is_none_or(|count| count == 0 || most >= least as usize));
            prop_assert!(visits.longest.is_none() || max >= least);
        }
    }
}

/// Frames of one person, five a second, from one moment to another in milliseconds.
fn stay(room: &mut Room, from: u64, to: u64, act: Act) {
    for at in (from..to).step_by(200) {
        room.frame(ms(at), &[act]);
    }
}

#[test]
fn one_visit_with_its_dwell_facing_time_and_watcher() {
    let mut room = Room::new(settings(Policy::default()));
    stay(&mut room, 0, 4_000, None);
    stay(&mut room, 4_000, 10_000, Some(true));
    stay(&mut room, 10_000, 16_000, Some(false));
    stay(&mut room, 16_000, 30_000, None);
    let told: Vec<VisitSummary> =
        room.windows.advance(ms(30_000)).into_iter().map(|summary| summary.visits.unwrap()).collect();
    assert_eq!(
        (told[0].began, told[0].watchers, told[0].longest),
        (1, Some(1), Some(Duration::from_secs(6)))
    );
    assert_eq!((told[0].dwell.as_ref().unwrap().ended, told[0].attraction()), (0, None));
    // From 4.0 s to 15.8 s; turned away from 10.0 s on.
    let dwell = Times { ended: 1, total: Duration::from_millis(11_800), histogram: [0, 1, 0, 0, 0, 0] };
    let facing = Times { ended: 1, total: Duration::from_millis(6_000), histogram: [0, 1, 0, 0, 0, 0] };
    assert_eq!((told[1].dwell.as_ref(), told[1].facing.as_ref()), (Some(&dwell), Some(&facing)));
    assert_eq!((told[1].began, told[1].watchers, told[1].longest), (0, Some(0), None));
    assert!((told[1].attraction().unwrap() - 6.0 / 11.8).abs() < 1e-9);
    assert_eq!(told[2].dwell, Some(Times::default()));
}

#[test]
fn a_glance_is_no_watcher_and_one_frame_is_no_visit() {
    let mut room = Room::new(settings(Policy::default()));
    stay(&mut room, 0, 200, Some(true));
    stay(&mut room, 200, 2_000, None);
    stay(&mut room, 2_000, 2_800, Some(true));
    stay(&mut room, 2_800, 10_000, None);
    let visits = room.windows.advance(ms(10_000)).remove(0).visits.unwrap();
    assert_eq!((visits.began, visits.watchers), (1, Some(0)));
    assert_eq!(visits.dwell.unwrap().total, Duration::from_millis(600));
}

#[test]
fn where_watching_is_not_to_be_measured_dwell_is_left() {
    for site in [Site::Education, Site::Workplace] {
        let mut room = Room::new(settings(Policy::new(site, true, Some(true), 1)));
        stay(&mut room, 0, 5_000, Some(true));
        stay(&mut room, 5_000, 10_000, None);
        let visits = room.windows.advance(ms(10_000)).remove(0).visits.unwrap();
        assert_eq!((visits.watchers, visits.facing.as_ref(), visits.attraction()), (None, None, None));
        assert_eq!((visits.began, visits.dwell.unwrap().ended), (1, 1));
    }
}

#[test]
fn what_ends_while_the_camera_is_lost_is_told_when_it_sees_again() {
    let mut room = Room::new(settings(Policy::default()));
    stay(&mut room, 0, 10_000, Some(true));
    room.windows.camera(ms(10_000), CameraState::Lost);
    room.everybody_goes();
    stay(&mut room, 20_000, 30_000, None);
    let summaries = room.windows.advance(ms(30_000));
    let ended: Vec<_> = summaries
        .iter()
        .map(|summary| summary.visits.as_ref().map(|visits| visits.dwell.as_ref().unwrap().ended))
        .collect();
    assert_eq!(ended, [Some(0), None, Some(1)]);
}

#[test]
fn a_single_person_who_comes_three_times_is_not_three_people() {
    let mut room = Room::new(settings(Policy { min_people: 3, ..Policy::default() }));
    for start in [0, 3_000, 6_000] {
        stay(&mut room, start, start + 1_500, Some(true));
        stay(&mut room, start + 1_500, start + 3_000, None);
    }
    stay(&mut room, 9_000, 10_000, None);
    let visits = room.windows.advance(ms(10_000)).remove(0).visits.unwrap();
    assert_eq!((visits.began, visits.watchers, visits.dwell, visits.longest), (3, None, None, None));
}
