//! Measures of agreement.

/// Counts of right and wrong, of one class or action unit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct HitCounts {
    /// Said and annotated.
    pub hits: u64,
    /// Said and not annotated.
    pub false_alarms: u64,
    /// Annotated and not said.
    pub misses: u64,
}

impl HitCounts {
    /// Adds one comparison.
    pub fn add(&mut self, said: bool, annotated: bool) {
        match (said, annotated) {
            (true, true) => self.hits += 1,
            (true, false) => self.false_alarms += 1,
            (false, true) => self.misses += 1,
            (false, false) => {}
        }
    }

    /// The share of what was said that is right; 0 if nothing was.
    pub fn precision(&self) -> f64 {
        ratio(self.hits, self.hits + self.false_alarms)
    }

    /// The share of what was annotated that was said; 0 if nothing was.
    pub fn recall(&self) -> f64 {
        ratio(self.hits, self.hits + self.misses)
    }

    /// The harmonic mean of precision and recall; 0 if there was nothing to find or to say.
    pub fn f1(&self) -> f64 {
        ratio(2 * self.hits, 2 * self.hits + self.false_alarms + self.misses)
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Two series of numbers, as far as agreement needs them: running means and moments, which stay exact however long they
/// are and wherever their zero is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Concordance {
    /// Pairs.
    pub count: u64,
    means: [f64; 2],
    squares: [f64; 2],
    products: f64,
}

impl Concordance {
    /// Adds a pair: what was said and what was annotated.
    pub fn add(&mut self, pair: [f64; 2]) {
        self.count += 1;
        let count = self.count as f64;
        let before = [pair[0] - self.means[0], pair[1] - self.means[1]];
        for (axis, apart) in before.into_iter().enumerate() {
            self.means[axis] += apart / count;
            self.squares[axis] += apart * (pair[axis] - self.means[axis]);
        }
        self.products += before[0] * (pair[1] - self.means[1]);
    }

    /// Lin's concordance correlation coefficient, -1..=1: 2·cov / (var + var + (difference of the means)²), of the whole
    /// population. `None` if both are the same constant, where it is not defined.
    pub fn ccc(&self) -> Option<f64> {
        let count = self.count as f64;
        let apart = self.means[0] - self.means[1];
        let below = self.squares[0] + self.squares[1] + count * apart * apart;
        (below > 0.0).then(|| 2.0 * self.products / below)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ccc(pairs: &[[f64; 2]]) -> Option<f64> {
        let mut concordance = Concordance::default();
        pairs.iter().for_each(|pair| concordance.add(*pair));
        concordance.ccc()
    }

    #[test]
    fn by_hand() {
        let mut tally = HitCounts::default();
        for (said, annotated, times) in
            [(true, true, 3), (true, false, 1), (false, true, 2), (false, false, 9)]
        {
            (0..times).for_each(|_| tally.add(said, annotated));
        }
        assert_eq!((tally.precision(), tally.recall()), (0.75, 0.6));
        assert!((tally.f1() - 2.0 / 3.0).abs() < 1e-12);
        assert!(HitCounts::default().f1().abs() < 1e-12);

        // Means 2 and 3, variances 2/3 and 2/3, covariance 2/3: 2·(2/3) / (4/3 + 1) = 4/7.
        let shifted = ccc(&[[1.0, 2.0], [2.0, 3.0], [3.0, 4.0]]).unwrap();
        assert!((shifted - 4.0 / 7.0).abs() < 1e-12, "{shifted}");
        assert_eq!(ccc(&[[0.1, 0.1], [0.7, 0.7], [-0.4, -0.4]]).map(|ccc| (ccc * 1e9).round()), Some(1e9));
        assert_eq!(ccc(&[[0.5, 0.0], [0.5, 1.0]]), Some(0.0), "a constant agrees with nothing");
        assert_eq!((ccc(&[]), ccc(&[[1.0, 1.0]])), (None, None));
    }

    proptest! {
        #[test]
        fn running_moments_are_those_of_the_whole(
            pairs in prop::collection::vec(prop::array::uniform2(-1.0_f64..1.0), 2..200),
            shift in -1e6_f64..1e6,
        ) {
            let count = pairs.len() as f64;
            let mean = |axis: usize| pairs.iter().map(|pair| pair[axis]).sum::<f64>() / count;
            let (a, b) = (mean(0), mean(1));
            let sum = |of: &dyn Fn(&[f64; 2]) -> f64| pairs.iter().map(of).sum::<f64>() / count;
            let below = sum(&|p| (p[0] - a).powi(2)) + sum(&|p| (p[1] - b).powi(2)) + (a - b).powi(2);
            let whole = 2.0 * sum(&|p| (p[0] - a) * (p[1] - b)) / below;
            prop_assert!((ccc(&pairs).unwrap() - whole).abs() < 1e-9);
            let moved: Vec<_> = pairs.iter().map(|pair| pair.map(|value| value + shift)).collect();
            prop_assert!((ccc(&moved).unwrap() - whole).abs() < 1e-6);
        }
    }
}
