//! Tells a camera whose frames are damaged from one that loses a frame now and then.

use std::time::Duration;

use emotiond_core::Moment;

/// For so long without a whole frame before the frames count as damaged, and for so long without a damaged one before
/// they count as whole again.
const HOLD: Duration = Duration::from_secs(2);

/// What has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DamageChange {
    /// No frame is whole any more.
    Damaged,
    /// All frames are whole again; so many were damaged.
    Whole(u64),
}

/// Whether the frames can be decoded, with a hold time in both directions, so that a bad cable fills no log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Damage {
    damaged: bool,
    changing_since: Option<Moment>,
    frames: u64,
}

impl Damage {
    /// Takes one frame into account; returns each change once.
    pub fn update(&mut self, at: Moment, whole: bool) -> Option<DamageChange> {
        self.frames += u64::from(!whole);
        if whole != self.damaged {
            self.changing_since = None;
            if whole {
                self.frames = 0;
            }
            return None;
        }
        let since = *self.changing_since.get_or_insert(at);
        if at - since < HOLD {
            return None;
        }
        (self.damaged, self.changing_since) = (!whole, None);
        Some(if whole {
            DamageChange::Whole(std::mem::take(&mut self.frames))
        } else {
            DamageChange::Damaged
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The changes over frames, five a second, of which `whole` says whether they are.
    fn changes(damage: &mut Damage, start: u64, whole: impl IntoIterator<Item = bool>) -> Vec<DamageChange> {
        let frames = (start..).zip(whole);
        frames.filter_map(|(frame, whole)| damage.update(Moment::from_millis(200 * frame), whole)).collect()
    }

    #[test]
    fn lasting_damage_is_told_once_and_so_is_its_end() {
        let mut damage = Damage::default();
        assert_eq!(changes(&mut damage, 0, [true; 50]), []);
        assert_eq!(changes(&mut damage, 50, [false; 500]), [DamageChange::Damaged]);
        assert_eq!(changes(&mut damage, 550, [true; 50]), [DamageChange::Whole(500)]);
        assert_eq!(changes(&mut damage, 600, [false; 20]), [DamageChange::Damaged]);
    }

    #[test]
    fn a_frame_lost_now_and_then_is_not_told() {
        let mut damage = Damage::default();
        assert_eq!(changes(&mut damage, 0, (0..1000).map(|frame| frame % 5 > 0)), []);
    }

    #[test]
    fn a_single_whole_frame_does_not_end_it() {
        let mut damage = Damage::default();
        assert_eq!(changes(&mut damage, 0, (0..100).map(|frame| frame == 40)), [DamageChange::Damaged]);
    }
}
