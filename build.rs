//! Tells the installed binary where its TensorFlow Lite library is.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets the target architecture");
    // First where a package puts it, then where scripts/setup puts it, seen from target/{debug,release}
    // and from target/<triple>/{debug,release}.
    for path in [
        "$ORIGIN/../lib/emotiond".to_owned(),
        format!("$ORIGIN/../../third_party/tflite/lib/{arch}"),
        format!("$ORIGIN/../../../third_party/tflite/lib/{arch}"),
    ] {
        println!("cargo:rustc-link-arg-bins=-Wl,-rpath,{path}");
    }
}
