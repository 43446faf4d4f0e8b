use super::*;

#[test]
fn schema_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/summary.schema.json");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, schema_text()).unwrap();
    }
    let stored = std::fs::read_to_string(path).unwrap();
    assert!(
        stored == schema_text(),
        "{path} is out of date; write it anew with UPDATE_SCHEMA=1 cargo test schema"
    );
}
