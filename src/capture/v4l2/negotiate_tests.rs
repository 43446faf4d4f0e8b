//! Mode lists of real cameras, as `v4l2-ctl --list-formats-ext` shows them.

use proptest::prelude::*;

use super::*;

const UVC_RATES: &[f64] = &[30.0, 25.0, 20.0, 15.0, 10.0, 5.0];

fn modes(fourcc: &[u8; 4], sizes: &[(u32, u32)], rates: &[f64]) -> Vec<Mode> {
    let mode = |&(width, height)| Mode { fourcc: *fourcc, width, height, rates: rates.to_vec() };
    sizes.iter().map(mode).collect()
}

fn logitech_c270() -> Vec<Mode> {
    let small =
        [(640, 480), (160, 120), (176, 144), (320, 176), (320, 240), (352, 288), (432, 240), (544, 288)];
    let mut list = modes(b"YUYV", &small, UVC_RATES);
    list.extend(modes(b"YUYV", &[(640, 360)], UVC_RATES));
    list.extend(modes(b"YUYV", &[(800, 600)], &[20.0, 15.0, 10.0, 5.0]));
    list.extend(modes(b"YUYV", &[(1280, 720)], &[7.5, 5.0]));
    list.extend(modes(b"YUYV", &[(1280, 960)], &[7.5, 5.0]));
    list.extend(modes(b"MJPG", &small, UVC_RATES));
    list.extend(modes(b"MJPG", &[(640, 360), (800, 600), (1280, 720), (1280, 960)], UVC_RATES));
    list
}

fn logitech_c920() -> Vec<Mode> {
    let small =
        [(640, 480), (160, 90), (160, 120), (176, 144), (320, 180), (320, 240), (432, 240), (640, 360)];
    let mut list = modes(b"YUYV", &small, UVC_RATES);
    list.extend(modes(b"YUYV", &[(1280, 720)], &[10.0, 7.5, 5.0]));
    list.extend(modes(b"YUYV", &[(1920, 1080)], &[5.0]));
    list.extend(modes(b"H264", &[(640, 480), (1920, 1080)], UVC_RATES));
    list.extend(modes(b"MJPG", &small, UVC_RATES));
    list.extend(modes(b"MJPG", &[(1280, 720), (1920, 1080)], UVC_RATES));
    list
}

fn capture_dongle_ms2109() -> Vec<Mode> {
    let mut list =
        modes(b"MJPG", &[(1920, 1080), (1280, 720), (720, 480), (640, 480)], &[30.0, 20.0, 10.0, 5.0]);
    list.extend(modes(b"YUYV", &[(1920, 1080), (1280, 720), (720, 480), (640, 480)], &[5.0]));
    list
}

fn chosen(modes: &[Mode], requested: &ModeRequest) -> String {
    negotiate(modes, requested).map_or_else(|| "none".to_owned(), |choice| choice.to_string())
}

#[test]
fn webcams_give_raw_vga_at_the_lowest_sharp_rate() {
    assert_eq!(chosen(&logitech_c270(), &ModeRequest::default()), "640×480 YUYV at 15 fps");
    assert_eq!(chosen(&logitech_c920(), &ModeRequest::default()), "640×480 YUYV at 15 fps");
}

#[test]
fn a_high_analysis_rate_raises_the_capture_rate() {
    let requested = ModeRequest { rate: 24.0, ..ModeRequest::default() };
    assert_eq!(chosen(&logitech_c270(), &requested), "640×480 YUYV at 25 fps");
}

#[test]
fn a_large_size_at_a_rate_that_raw_cannot_give_is_taken_as_jpeg() {
    let requested = ModeRequest { width: 1280, height: 720, rate: 15.0, ..ModeRequest::default() };
    assert_eq!(chosen(&logitech_c920(), &requested), "1280×720 MJPG at 15 fps");
}

#[test]
fn a_wanted_format_is_kept_to() {
    let requested = ModeRequest { format: Some(PixelFormat::Mjpeg), ..ModeRequest::default() };
    assert_eq!(chosen(&logitech_c920(), &requested), "640×480 MJPG at 15 fps");
    let requested = ModeRequest { format: Some(PixelFormat::Nv12), ..ModeRequest::default() };
    assert_eq!(chosen(&logitech_c920(), &requested), "none");
}

#[test]
fn a_dongle_whose_raw_mode_is_slow_but_enough() {
    // Five raw frames a second are all that analysis asks for, but they are the dongle's slide show of a live signal,
    // and still cheaper than JPEG.
    assert_eq!(chosen(&capture_dongle_ms2109(), &ModeRequest::default()), "640×480 YUYV at 5 fps");
    let requested = ModeRequest { rate: 10.0, ..ModeRequest::default() };
    assert_eq!(chosen(&capture_dongle_ms2109(), &requested), "640×480 MJPG at 20 fps");
}

#[test]
fn the_kernels_test_driver() {
    // vivid's webcam input; it lists dozens of formats, most of which are not ours.
    let sizes = [(320, 180), (640, 360), (640, 480), (1280, 720), (1920, 1080)];
    let mut list = Vec::new();
    for fourcc in [b"AR24", b"YUYV", b"UYVY", b"NV12", b"YU12", b"GREY", b"RGB3", b"422P"] {
        list.extend(modes(fourcc, &sizes, &[60.0, 50.0, 30.0, 25.0, 15.0, 10.0, 5.0]));
    }
    let choice = negotiate(&list, &ModeRequest::default()).unwrap();
    assert_eq!((choice.width, choice.height, choice.rate), (640, 480, Some(15.0)));
    assert_ne!(choice.format, PixelFormat::Grey, "colour is there to be had");
}

#[test]
fn raspberry_pi_sensors_without_their_isp_have_nothing_to_offer() {
    // unicam and rp1-cfe list Bayer data of the sensor.
    let list = modes(b"pgAA", &[(3280, 2464), (1640, 1232), (640, 480)], &[]);
    assert_eq!(negotiate(&list, &ModeRequest::default()), None);
}

#[test]
fn grey_is_better_than_nothing() {
    let list = modes(b"GREY", &[(640, 400), (1280, 800)], &[120.0, 60.0]);
    assert_eq!(chosen(&list, &ModeRequest::default()), "640×400 GREY at 60 fps");
}

#[test]
fn somewhat_small_is_taken_before_four_times_too_large() {
    let list = modes(b"MJPG", &[(1280, 720), (640, 360), (320, 180)], &[30.0]);
    assert_eq!(chosen(&list, &ModeRequest::default()), "640×360 MJPG at 30 fps");
    let list = modes(b"MJPG", &[(1280, 720), (320, 240)], &[30.0]);
    assert_eq!(chosen(&list, &ModeRequest::default()), "1280×720 MJPG at 30 fps");
}

#[test]
fn a_driver_that_lists_no_rates_is_left_its_own() {
    assert_eq!(chosen(&modes(b"YU12", &[(640, 480)], &[]), &ModeRequest::default()), "640×480 YU12");
}

prop_compose! {
    fn any_mode()(
        fourcc in prop::sample::select(vec![b"YUYV", b"MJPG", b"JPEG", b"NV12", b"GREY", b"RGB3", b"H264", b"BA81"]),
        width in 0_u32..5000, height in 0_u32..5000,
        rates in prop::collection::vec(prop_oneof![1.0..240.0, Just(0.0), Just(f64::NAN), Just(f64::INFINITY)], 0..5),
    ) -> Mode { Mode { fourcc: *fourcc, width, height, rates } }
}

proptest! {
    #[test]
    fn chooses_something_on_offer_whenever_something_can_be_decoded(
        list in prop::collection::vec(any_mode(), 0..20), rate in 0.1..60.0_f64,
    ) {
        let requested = ModeRequest { rate, ..ModeRequest::default() };
        let usable = |mode: &&Mode| mode.format().is_some() && mode.width > 0 && mode.height > 0;
        match negotiate(&list, &requested) {
            Some(choice) => {
                let mode = list.iter().filter(usable).find(|mode| {
                    (mode.fourcc, mode.width, mode.height) == (choice.fourcc, choice.width, choice.height)
                        && choice.rate.is_none_or(|rate| mode.rates.contains(&rate))
                });
                prop_assert!(mode.is_some(), "{choice} is not on the list");
            }
            None => prop_assert_eq!(list.iter().filter(usable).count(), 0),
        }
    }

    #[test]
    fn the_exact_size_is_never_given_up_for_a_smaller_one(width in 1_u32..640, height in 1_u32..480) {
        let list = modes(b"YUYV", &[(width, height), (640, 480)], &[30.0]);
        prop_assert_eq!(chosen(&list, &ModeRequest::default()), "640×480 YUYV at 30 fps");
    }
}
