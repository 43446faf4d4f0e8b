//! Bars of characters for shares.

/// A cell filled from the left by so many eighths.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// A bar of `width` cells of which a share is filled; the rest is blank. What is no share counts as the nearest one.
pub fn bar(share: f64, width: usize) -> String {
    let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
    let eighths = (share * (8 * width) as f64).round() as usize;
    let (full, part) = (eighths / 8, EIGHTHS[eighths % 8]);
    let blank = width - full - usize::from(!part.is_empty());
    format!("{}{part}{}", "█".repeat(full), " ".repeat(blank))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_has_its_width_whatever_the_share() {
        assert_eq!(bar(0.5, 4), "██  ");
        assert_eq!(bar(0.8125, 2), "█▋");
        assert_eq!(bar(1.0, 3), "███");
        for share in [0.0, 0.001, 0.3, 0.999, 7.0, -7.0, f64::NAN, f64::INFINITY] {
            for width in [0, 1, 5, 40] {
                assert_eq!(bar(share, width).chars().count(), width, "{share} {width}");
            }
        }
    }
}
