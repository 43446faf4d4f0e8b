//! What `evaluate` prints.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::annotation::CLASSES;
use super::metrics::HitCounts;
use super::scorer::Agreement;

/// The mean F1 over all classes of ABAW, or `None` without an annotated one.
fn macro_f1(found: &Agreement) -> Option<f64> {
    let sum: f64 = found.classes.iter().map(HitCounts::f1).sum();
    (found.classified > 0).then(|| sum / found.classes.len() as f64)
}

/// The mean F1 over the action units that the model has, how many those are, and over all, of which the others count 0.
fn units_f1(found: &Agreement) -> Option<(f64, usize, f64)> {
    let known: Vec<f64> = found.units.values().flatten().map(HitCounts::f1).collect();
    let sum: f64 = known.iter().sum();
    (!known.is_empty()).then(|| (sum / known.len() as f64, known.len(), sum / found.units.len() as f64))
}

/// For a person.
pub fn table(found: &Agreement) -> String {
    let share = if found.frames == 0 { 0.0 } else { 100.0 * found.without_face as f64 / found.frames as f64 };
    let mut text = format!("{} annotated frames, {share:.1} % of them without a face found\n", found.frames);
    let heading = format!("  {:<10} {:>9} {:>9} {:>9} {:>9}\n", "", "F1", "precision", "recall", "frames");
    if let Some(mean) = macro_f1(found) {
        let _infallible = writeln!(text, "expression: macro-F1 {mean:.3} over {} classes", CLASSES.len());
        text += &heading;
        for ((name, _), tally) in CLASSES.iter().zip(&found.classes) {
            text += &row(name, tally);
        }
    }
    for (name, concordance) in ["valence", "arousal"].iter().zip(&found.affect) {
        if let Some(ccc) = concordance.ccc() {
            let _infallible = writeln!(text, "{name}: CCC {ccc:.3} over {} frames", concordance.count);
        }
    }
    if let Some((mean, known, all)) = units_f1(found) {
        let _infallible = writeln!(
            text,
            "action units: mean F1 {mean:.3} over the {known} of {} that the model has; {all:.3} if the others count 0",
            found.units.len()
        );
        text += &heading;
        for (name, tally) in &found.units {
            text += &tally
                .as_ref()
                .map_or_else(|| format!("  {name:<10} {:>9}\n", "-"), |tally| row(name, tally));
        }
    }
    text
}

fn row(name: &str, tally: &HitCounts) -> String {
    let (f1, precision, recall) = (tally.f1(), tally.precision(), tally.recall());
    let count = tally.hits + tally.misses;
    format!("  {name:<10} {f1:>9.3} {precision:>9.3} {recall:>9.3} {count:>9}\n")
}

/// For a program: one line.
pub fn json(found: &Agreement) -> serde_json::Result<String> {
    let tally = |tally: &HitCounts| {
        json!({
            "f1": tally.f1(), "precision": tally.precision(), "recall": tally.recall(),
            "frames": tally.hits + tally.misses,
        })
    };
    let mut line = json!({"frames": found.frames, "without_face": found.without_face});
    if let Some(mean) = macro_f1(found) {
        let classes =
            CLASSES.iter().zip(&found.classes).map(|((name, _), of)| ((*name).to_owned(), tally(of)));
        line["expression"] = json!({"macro_f1": mean, "classes": Value::Object(classes.collect())});
    }
    for (name, concordance) in ["valence", "arousal"].iter().zip(&found.affect) {
        if let Some(ccc) = concordance.ccc() {
            line[*name] = json!({"ccc": ccc, "frames": concordance.count});
        }
    }
    if let Some((mean, known, all)) = units_f1(found) {
        let units =
            found.units.iter().map(|(name, of)| (name.clone(), of.as_ref().map_or(Value::Null, tally)));
        line["action_units"] = json!({"mean_f1": mean, "known": known, "mean_f1_of_all": all, "units": Value::Object(units.collect())});
    }
    Ok(serde_json::to_string(&line)? + "\n")
}
