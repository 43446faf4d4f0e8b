//! The JSON Schema of the `summary` message, generated from the types that write it.

use alloc::string::String;

use schemars::generate::SchemaSettings;

use super::SummaryPayload;

/// The schema as it stands in `docs/summary.schema.json`: draft 2020-12, indented, ending in a line break.
#[must_use]
pub fn schema_text() -> String {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let schema = generator.into_root_schema_for::<SummaryPayload>();
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    text.push('\n');
    text
}
