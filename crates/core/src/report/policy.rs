//! What may be said of the people who are seen: what the law says of a site, and what its operator decides.

use serde::{Deserialize, Serialize};

/// Where the device is installed, which decides what the law allows it to do.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Site {
    /// A private home.
    Home,
    /// A shop, kiosk, exhibition or other public place.
    Retail,
    /// A study whose participants have agreed.
    Research,
    /// A school, university or other place of education.
    Education,
    /// A place of work.
    Workplace,
}

impl Site {
    /// Whether EU AI Act Art. 5(1)(f) forbids to infer emotions here (save for medical or safety reasons).
    #[must_use]
    pub fn forbids_emotion(self) -> bool {
        matches!(self, Self::Education | Self::Workplace)
    }

    /// The name in the configuration and on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Retail => "retail",
            Self::Research => "research",
            Self::Education => "education",
            Self::Workplace => "workplace",
        }
    }
}

/// What windows and triggers may say.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Policy {
    /// Whether emotion is inferred at all.
    pub emotion: bool,
    /// Whether the share of faces turned to the camera is published.
    pub facing: bool,
    /// Whether it is published who looked and for how long: watchers and facing time.
    pub watchers: bool,
    /// Fewer people at once carry no emotion; 1 or more.
    pub min_people: u32,
}

impl Policy {
    /// What a site allows. `exempt` says that the operator claims a medical or safety reason, without which emotion is
    /// not inferred where the law forbids it; `facing`, a proxy for attention, is withheld there unless it is asked
    /// for. Watchers are withheld there too, and wherever `facing` is; the configuration may decide otherwise.
    #[must_use]
    pub fn new(site: Site, exempt: bool, facing: Option<bool>, min_people: u32) -> Self {
        let forbidden = site.forbids_emotion();
        let facing = facing.unwrap_or(!forbidden);
        Self { emotion: !forbidden || exempt, facing, watchers: facing && !forbidden, min_people }
    }

    /// Why nothing may be said of the emotion of so many people at once, if that is so.
    #[must_use]
    pub(crate) fn suppresses(&self, people: u32) -> Option<Suppressed> {
        match self {
            Self { emotion: false, .. } => Some(Suppressed::Site),
            Self { min_people, .. } if people < *min_people => Some(Suppressed::MinPeople),
            Self { .. } => None,
        }
    }
}

impl Default for Policy {
    /// What is allowed at home, of any number of people.
    fn default() -> Self {
        Self::new(Site::Home, false, None, 1)
    }
}

/// Why a window with a working camera carries no emotion.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Suppressed {
    /// Nobody was there.
    Nobody,
    /// The site forbids it; said of every window, whoever is there.
    Site,
    /// Too few people at once.
    MinPeople,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_law_decides_unless_the_operator_claims_an_exemption() {
        for site in [Site::Home, Site::Retail, Site::Research] {
            assert_eq!(
                Policy::new(site, false, None, 1),
                Policy { emotion: true, facing: true, watchers: true, min_people: 1 }
            );
            assert!(!Policy::new(site, false, Some(false), 1).watchers);
        }
        for site in [Site::Education, Site::Workplace] {
            let strict = Policy::new(site, false, None, 1);
            assert_eq!((strict.emotion, strict.facing, strict.watchers), (false, false, false));
            assert_eq!(strict.suppresses(9), Some(Suppressed::Site));
            let named = Policy::new(site, false, Some(true), 1);
            assert_eq!((named.facing, named.watchers), (true, false));
            assert!(Policy::new(site, true, None, 1).emotion);
        }
    }

    #[test]
    fn too_few_people_carry_no_emotion() {
        let policy = Policy { min_people: 3, ..Policy::default() };
        assert_eq!(policy.suppresses(2), Some(Suppressed::MinPeople));
        assert_eq!(policy.suppresses(3), None);
    }
}
