// A page that reacts to two triggers of emotiond, `somebody` and `smile`: docs/guides/kiosk.md.

// ?emotiond=http://127.0.0.1:9480 names another emotiond than the one on this machine.
const emotiond = new URLSearchParams(location.search).get("emotiond") ?? "http://127.0.0.1:9480";

const SCENES = {
  nobody: ["Come closer", "There is something to see here."],
  somebody: ["Hello!", "Do you like what you see?"],
  smile: ["What a smile!", "Thank you. Have a good day."],
};

// Whether each trigger's condition is met.
const holds = { somebody: false, smile: false };

function show() {
  const scene = holds.smile ? "smile" : holds.somebody ? "somebody" : "nobody";
  document.body.dataset.scene = scene;
  [document.getElementById("words").textContent, document.getElementById("more").textContent] = SCENES[scene];
}

function connect() {
  const stream = new EventSource(`${emotiond}/stream`);
  const state = document.getElementById("state");
  stream.addEventListener("open", () => { state.textContent = "connected"; });
  stream.addEventListener("error", () => {
    state.textContent = "not connected";
    holds.somebody = holds.smile = false;
    show();
    // The browser tries again by itself, unless emotiond has refused: not started, or this origin is not allowed.
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, 5000);
  });
  // The privacy notice, in emotiond's own words.
  stream.addEventListener("info", ({ data }) => {
    document.getElementById("notice").textContent = JSON.parse(data).privacy.notice;
  });
  for (const trigger of Object.keys(holds)) {
    // How things stand, at once after connecting and at every change.
    stream.addEventListener(`trigger/${trigger}/state`, ({ data }) => {
      holds[trigger] = data === "ON";
      show();
    });
    // What happens, once: here for the log of the browser; a sound or a film would begin here.
    stream.addEventListener(`event/${trigger}`, ({ data }) => {
      const { phase, value } = JSON.parse(data);
      console.info(`${trigger}: ${phase}, ${value}`);
    });
  }
}

show();
connect();
