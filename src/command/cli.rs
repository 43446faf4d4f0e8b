//! The command line.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::clip::filter::Smoothing;
use crate::config::DEFAULT_PATH;

/// Camera to emotion summaries over MQTT, without ever storing or sending an image.
#[derive(Debug, Parser)]
#[command(name = "emotiond", version, max_term_width = 100)]
pub struct Cli {
    /// Say more (repeat for everything); `RUST_LOG` overrides it
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// What to do
    #[command(subcommand)]
    pub command: Action,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Run the daemon: camera (or replay) to summaries
    Run(RunArgs),
    /// Ask at most five questions and write a configuration
    Setup(SetupArgs),
    /// Try all that the daemon needs, and say what to do about what does not work
    Check(ConfigArgs),
    /// List the V4L2 cameras of this machine, their drivers and modes
    Cameras(CamerasArgs),
    /// Read emotion off pictures or over a clip, and print or draw it
    Analyze(AnalyzeArgs),
    /// Compare what is read of clips with annotations of them, in ABAW's measures
    Evaluate(EvaluateArgs),
    /// Time every stage on this machine
    Bench(BenchArgs),
    /// Show what a subscriber of the broker receives: a page in a terminal, lines in a pipe
    Watch(WatchArgs),
    /// Print the commented default configuration
    Config(ConfigPrintArgs),
}

/// Where the configuration is.
#[derive(Args, Clone, Debug, Default)]
pub struct ConfigArgs {
    /// Configuration file [default: /etc/emotiond/emotiond.toml]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl ConfigArgs {
    /// Where the configuration is read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new(DEFAULT_PATH))
    }
}

/// `emotiond run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Where the configuration is
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Camera, stream or recording: `v4l2:/dev/video0`, `stream:PATH` (live pictures from a named pipe or a Unix socket),
    /// `replay:PATH` (image, folder of images, MJPEG file); `stream:-` and `replay:-` read standard input. Overrides
    /// `camera.source`
    #[arg(long)]
    pub source: Option<String>,
    /// Where summaries go
    #[arg(long, value_enum, default_value_t = PublishTo::Mqtt)]
    pub publish: PublishTo,
    /// Length of a summary's window, for example `2s`; overrides `summary.window`
    #[arg(long, value_name = "DURATION")]
    pub window: Option<humantime::Duration>,
    /// Speed of a recording [default: fast to standard output, realtime over MQTT]
    #[arg(long, value_enum)]
    pub pace: Option<Pace>,
}

/// Where `run` publishes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum PublishTo {
    /// The broker that the configuration names
    Mqtt,
    /// Standard output, one JSON line a summary
    Stdout,
}

/// Speed of a recording.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Pace {
    /// One nominal second a second; frames that come too fast for the machine are dropped and counted
    Realtime,
    /// As fast as the machine can; every due frame is analysed
    Fast,
}

/// `emotiond setup`. What is not given is asked for.
#[derive(Args, Clone, Debug)]
pub struct SetupArgs {
    /// Where the configuration is written
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Where the device stands: home, retail, research, education or workplace
    #[arg(long)]
    pub site: Option<String>,
    /// A camera (`/dev/video0`), or another source as `camera.source` has it
    #[arg(long, value_name = "SOURCE")]
    pub camera: Option<String>,
    /// The broker: HOST, HOST:PORT, `mqtts://HOST` or `embedded`
    #[arg(long, value_name = "ADDRESS")]
    pub broker: Option<String>,
    /// User name at the broker
    #[arg(long, requires = "password_file")]
    pub username: Option<String>,
    /// File that holds the password
    #[arg(long, value_name = "FILE", requires = "username")]
    pub password_file: Option<PathBuf>,
    /// Name of the device
    #[arg(long)]
    pub name: Option<String>,
    /// Announce the device to Home Assistant: true or false
    #[arg(long, value_name = "BOOLEAN")]
    pub discovery: Option<bool>,
    /// Ask nothing: what is not given has its default; needs --site
    #[arg(long, requires = "site")]
    pub yes: bool,
    /// Replace a configuration that somebody has changed, and keep a copy of it
    #[arg(long)]
    pub force: bool,
    /// Enable and start the systemd unit without asking
    #[arg(long)]
    pub enable: bool,
}

/// `emotiond cameras`.
#[derive(Args, Clone, Debug)]
pub struct CamerasArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `emotiond analyze`.
#[derive(Args, Clone, Debug)]
pub struct AnalyzeArgs {
    /// Where the configuration is
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Print one JSON line an image
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// Manifest or name of the emotion model, instead of the configured one
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Make a copy of the one picture named, with boxes and labels: a PNG file that does not exist yet
    #[arg(long, value_name = "OUT.png")]
    pub draw: Option<PathBuf>,
    /// Take what is named for one clip: a folder of numbered pictures, or Motion JPEG on standard input (`-`). A file
    /// with the ending of a video is one without it
    #[arg(long)]
    pub clip: bool,
    /// Frames a second: of pictures and Motion JPEG what they are [default: 25], of a video what it is brought to
    /// [default: every frame]
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub fps: Option<f64>,
    /// What is printed of a clip [default: json]
    #[arg(long, value_enum)]
    pub format: Option<ClipFormat>,
    /// Smooth a clip's scores: `none`, `causal:SECONDS`, `box:WIDTH` or `gaussian:SIGMA`, the last two centred or with a lag
    /// behind a comma [default: none]
    #[arg(long, value_name = "FILTER")]
    pub smooth: Option<Smoothing>,
    /// Draw expressions, valence, arousal and events over a clip: an SVG or PNG file that does not exist yet
    #[arg(long, value_name = "OUT.svg")]
    pub plot: Option<PathBuf>,
    /// JPEG or PNG pictures, or folders of them; or one clip
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
}

/// What is printed of a clip.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum ClipFormat {
    /// One JSON line a frame and face
    Json,
    /// Columns as of OpenFace and Py-Feat
    Csv,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.1..=240.0).contains(rate));
    rate.ok_or_else(|| format!("{text:?} is no rate; 0.1 to 240 frames a second"))
}

/// `emotiond evaluate`.
#[derive(Args, Clone, Debug)]
pub struct EvaluateArgs {
    /// Where the configuration is
    #[command(flatten)]
    pub config: ConfigArgs,
    /// An annotation in ABAW's text format, or a folder of them
    #[arg(long, value_name = "FILE")]
    pub annotations: PathBuf,
    /// Manifest or name of the emotion model, instead of the configured one
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Frames a second of pictures and Motion JPEG [default: 25]
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub fps: Option<f64>,
    /// Smooth the scores first, as `analyze --smooth` does [default: none]
    #[arg(long, value_name = "FILTER")]
    pub smooth: Option<Smoothing>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// The clip: a video, a Motion JPEG file or a folder of numbered pictures; of a folder of annotations the folder of
    /// clips, each named as its annotation
    #[arg(value_name = "CLIP")]
    pub clip: PathBuf,
}

/// `emotiond bench`.
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// Where the configuration is
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Picture to run on [default: a grey 640×480 frame with no face in it]
    #[arg(value_name = "IMAGE")]
    pub image: Option<PathBuf>,
    /// Frames a measurement
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub frames: u32,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `emotiond watch`.
#[derive(Args, Clone, Debug)]
pub struct WatchArgs {
    /// Where the configuration is
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Print lines in a terminal too, as in a pipe: topic and body of each message of the configured device
    #[arg(long)]
    pub lines: bool,
    /// Print the lines of summaries alone, and end after so many
    #[arg(long, value_name = "SUMMARIES", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
}

/// `emotiond config`.
#[derive(Args, Clone, Debug)]
pub struct ConfigPrintArgs {
    /// Print the JSON Schema of a summary instead
    #[arg(long)]
    pub schema: bool,
}
