//! Opens what the configuration names as the source and starts the camera thread on it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use crate::capture::replay;
use crate::capture::v4l2::negotiate::ModeRequest;
use crate::capture::{self, FrameSource, OpenOptions, SourceError, Spec};
use crate::clock::{Clock, ManualClock, SystemClock};
use crate::command::cli::{Destination, Pace as Pacing, RunArgs};
use crate::config::Settings;
use crate::runtime::capture_worker::{Camera, HandOver, Pace, Switches};
use crate::runtime::mailbox::Mailbox;

/// The source, its clock, and how its frames are handed over.
pub struct Feed {
    spec: Spec,
    options: OpenOptions,
    clock: Arc<dyn Clock>,
    replay: Option<(ManualClock, Duration)>,
    hand_over: HandOver,
    rate: f64,
}

impl Feed {
    /// What `settings` and the command line name. Opens nothing yet.
    #[must_use]
    pub fn new(settings: &Settings, arguments: &RunArgs) -> Self {
        let camera = &settings.camera;
        let pacing = arguments.pace.unwrap_or(match arguments.publish {
            Destination::Stdout => Pacing::Fast,
            Destination::Mqtt => Pacing::Realtime,
        });
        let live = matches!(camera.source, Spec::V4l2(_));
        let manual = (!live).then(|| ManualClock::new(SystemTime::now()));
        let clock: Arc<dyn Clock> = match &manual {
            Some(clock) => Arc::new(clock.clone()),
            None => Arc::new(SystemClock::new()),
        };
        Self {
            spec: camera.source.clone(),
            options: OpenOptions {
                requested: ModeRequest {
                    width: camera.width,
                    height: camera.height,
                    rate: camera.rate,
                    ..ModeRequest::default()
                },
                timeout: Some(camera.timeout),
                fps: Some(camera.replay_fps),
                pace: match pacing {
                    Pacing::Realtime => replay::Pace::Realtime,
                    Pacing::Fast => replay::Pace::Fast,
                },
                ..OpenOptions::default()
            },
            clock,
            replay: manual.map(|clock| (clock, Duration::from_secs_f64(1.0 / camera.replay_fps))),
            hand_over: if !live && pacing == Pacing::Fast { HandOver::Every } else { HandOver::Newest },
            rate: camera.rate,
        }
    }

    /// The clock that stamps frames and closes windows.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// For a replay, the same clock, which its frames set, and how long a frame lasts.
    #[must_use]
    pub fn replay(&self) -> Option<(ManualClock, Duration)> {
        self.replay.clone()
    }

    /// Opens the source once, to try it.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
        capture::open(&self.spec, &self.options, self.clock())
    }

    /// Starts the camera thread, which ends, with the device closed, once it is told to stop.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn start(mut self, switches: Arc<Switches>) -> std::io::Result<(Arc<Mailbox>, JoinHandle<()>)> {
        let mailbox = Arc::new(Mailbox::default());
        self.options.stop = Arc::clone(&switches.stop);
        self.options.pulse = Arc::clone(&switches.beats);
        let (spec, options, clock) = (self.spec, self.options, Arc::clone(&self.clock));
        let camera = Camera {
            open: Box::new(move || capture::open(&spec, &options, Arc::clone(&clock))),
            mailbox: Arc::clone(&mailbox),
            switches,
            clock: self.clock,
            pace: Pace::new(self.rate),
            hand_over: self.hand_over,
            replay: self.replay.is_some(),
        };
        let thread = std::thread::Builder::new().name("camera".to_owned()).spawn(|| camera.run())?;
        Ok((mailbox, thread))
    }
}
