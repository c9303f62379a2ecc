//! What can be done with models while decisions go on: push, validate, list, move an alias, share traffic, roll
//! back. Every change is checked off the hot path, kept in the log, and comes into place on every node by its entry.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tactful_core::layout::nearest;
use tactful_core::ruleset::Alias;
use tactful_core::score::{Bank, Scope};
use tactful_models::ImportOptions;
use tactful_models::artifact::Loaded;
use tactful_proto::storage::control_record::Body;
use tactful_proto::storage::{AliasMoved, ModelPushed, MoveCause};

use crate::apply::TRIES_MAX;
use crate::background;
use crate::control::{self, Change, Control};
use crate::engine::Engine;
use crate::error::Error;
use crate::registry::{ModelInUse, Move, Reference, Version, entry_alias};
use crate::slot::{Current, fit, refused};
use crate::trial::{self, Trial};

/// Longest note, in bytes.
const NOTE_BYTES_MAX: usize = 1_000;
/// Versions of one name: at one a minute a week.
const VERSIONS_MAX: usize = 10_000;
/// Names of models.
const NAMES_MAX: usize = 1_000;

/// A version that was pushed, or checked.
#[derive(Debug)]
pub struct Pushed {
    /// Its name and number; the number is 0 if it was only checked.
    pub reference: Reference,
    /// Whether these bytes were registered before.
    pub known: bool,
    /// What it holds.
    pub loaded: Loaded,
    /// How the trial went.
    pub trial: Trial,
}

/// What decides after an alias moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The version behind the alias now; none if there is none.
    pub to: Option<Reference>,
    /// What replies and records call it; empty if there is none.
    pub id: String,
    /// Hash of the ruleset that decides now.
    pub ruleset: u64,
}

/// Models, their versions, and which of them are in use.
#[derive(Clone, Debug)]
pub struct ModelList {
    /// By name, in the order of their numbers.
    pub versions: BTreeMap<String, Vec<Version>>,
    /// In use.
    pub in_use: BTreeMap<Alias, ModelInUse>,
    /// The latest moves of aliases, the latest last.
    pub moves: Vec<Move>,
    /// The champion that a rollback would bring back.
    pub champion_before: Option<Reference>,
}

/// A move of an alias that is asked for.
#[derive(Clone, Debug)]
pub struct MoveCommand {
    /// Which alias.
    pub alias: Alias,
    /// To which version; none to leave it empty.
    pub to: Option<Reference>,
    /// Share of the customers, of a challenger.
    pub share: f64,
    /// Who moves it.
    pub cause: MoveCause,
    /// Why; may be empty.
    pub note: String,
    /// sha256 of what stands behind the alias before, for those who must not undo what others did.
    pub follows: Option<[u8; 32]>,
}

/// What a load put in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedModel {
    /// Name in the artifact.
    pub name: String,
    /// First 16 hex digits of the artifact's sha256.
    pub version: String,
    /// Hash of the ruleset that now decides.
    pub ruleset: u64,
    /// Actions with a head of their own.
    pub action_heads: usize,
}

impl Engine {
    /// Checks an artifact against the catalogue in use, and on recorded requests. Nothing is kept.
    ///
    /// # Errors
    /// [`Error::Model`] with what is wrong with it.
    pub async fn validate_model(&self, artifact: Bytes) -> Result<Pushed, Error> {
        let (_, loaded, trial) = self.check(&self.slot.load_full(), artifact).await?;
        let reference = Reference { name: loaded.model.name.clone(), version: 0 };
        Ok(Pushed { reference, known: false, loaded, trial })
    }

    /// Checks a registered version as [`Engine::validate_model`] does.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none such, [`Error::Model`] with what is wrong with it.
    pub async fn validate_version(&self, name: &str, version: &str) -> Result<Pushed, Error> {
        let reference = self.find_version(name, version)?;
        let sha256 = self.control.borrow().registry.version(&reference).map(|version| version.sha256);
        let sha256 = sha256.ok_or_else(|| Error::missing("version", "there is no such version"))?;
        let checked = self.validate_model(self.artifact(&sha256).await?).await?;
        Ok(Pushed { reference, known: true, ..checked })
    }

    /// Makes an artifact of a model of another library.
    ///
    /// # Errors
    /// [`Error::Model`] with what cannot be represented, or was not reproduced.
    pub async fn import_model(&self, foreign: Bytes, options: ImportOptions) -> Result<Bytes, Error> {
        let importing = background::compute_soon(move || tactful_models::import(&foreign, &options));
        let imported = importing.await?;
        Ok(imported.map_err(|error| Error::Model(error.to_string()))?.artifact.into())
    }

    /// Checks an artifact and registers it as the next version of its name; the same bytes keep their number.
    ///
    /// # Errors
    /// [`Error::Model`] with what is wrong with it; nothing is registered then.
    pub async fn push_model(&self, artifact: Bytes, note: &str) -> Result<Pushed, Error> {
        check_note(note)?;
        let bytes = artifact.len() as u64;
        let current = self.slot.load_full();
        let (bank, loaded, trial) = self.check(&current, artifact.clone()).await?;
        let name = loaded.model.name.clone();
        let sha256 = self.log.put_blob(artifact).await?;
        // Who pushes a version mostly puts it into use next.
        self.slot.keep(sha256, &current, bank);
        let mut control = self.control.borrow().clone();
        check_room(&control, &name)?;
        let known = control.registry.with_sha256(&name, &sha256).is_some();
        if !known {
            let id = loaded.model.version.clone();
            let body = ModelPushed { name: name.clone(), sha256: sha256.to_vec(), id, note: note.into(), bytes };
            let offset = control::append(self.log.as_ref(), vec![Body::ModelPushed(body)]).await?;
            control.read_to(self.log.as_ref(), offset).await?;
            self.control_reached(offset).await?;
        }
        let version = control.registry.with_sha256(&name, &sha256).map_or(0, |version| version.number);
        Ok(Pushed { reference: Reference { name, version }, known, loaded, trial })
    }

    /// Moves an alias to a version, or to none, on every node. Returns once this one goes by it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such version, [`Error::Model`] if it does not fit the catalogue any more: the
    /// alias stays.
    pub async fn move_alias(&self, command: &MoveCommand) -> Result<Moved, Error> {
        self.change_alias(|control| {
            let now = control.registry.in_use(command.alias).map(|in_use| in_use.sha256);
            if command.follows.is_some() && command.follows != now {
                return Err(Error::Busy);
            }
            if command.alias == Alias::Challenger
                && command.to.is_some()
                && control.registry.in_use(Alias::Champion).is_none()
            {
                return Err(Error::field("alias", "there is no champion to challenge: promote a version first"));
            }
            Ok(body(command, false))
        })
        .await
    }

    /// Changes the share of the customers for whom the challenger decides.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no challenger, or the share is none.
    pub async fn set_traffic(&self, share: f64, note: &str) -> Result<Moved, Error> {
        self.change_alias(|control| {
            let challenger = control.registry.in_use(Alias::Challenger).map(|in_use| in_use.reference.clone());
            let to =
                challenger.ok_or_else(|| Error::missing("share", "there is no challenger to share customers with"))?;
            let (alias, cause, note) = (Alias::Challenger, MoveCause::Caller, note.into());
            Ok(body(&MoveCommand { alias, to: Some(to), share, cause, note, follows: None }, false))
        })
        .await
    }

    /// Makes the champion of before the champion again.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there was none.
    pub async fn roll_back(&self, note: &str) -> Result<Moved, Error> {
        self.change_alias(|control| {
            let before = control.registry.champion_before().cloned();
            let to = before.ok_or_else(|| Error::missing("champion", "there was no other champion to go back to"))?;
            let (alias, cause, note) = (Alias::Champion, MoveCause::Caller, note.into());
            Ok(body(&MoveCommand { alias, to: Some(to), share: 1.0, cause, note, follows: None }, true))
        })
        .await
    }

    /// Checks an artifact, registers it and makes it the champion.
    ///
    /// # Errors
    /// If the artifact is bad or does not fit the catalogue: the old champion stays.
    pub async fn load_model(&self, artifact: Bytes) -> Result<LoadedModel, Error> {
        let pushed = self.push_model(artifact, "").await.inspect_err(|_| refused())?;
        let (alias, to, cause) = (Alias::Champion, Some(pushed.reference.clone()), MoveCause::Caller);
        let moved =
            self.move_alias(&MoveCommand { alias, to, share: 1.0, cause, note: String::new(), follows: None }).await?;
        let heads = &pushed.loaded.model.heads;
        Ok(LoadedModel {
            name: pushed.reference.name,
            version: moved.id,
            ruleset: moved.ruleset,
            action_heads: heads.iter().filter(|head| head.scope == Scope::Action).count(),
        })
    }

    /// Models, their versions, and which of them are in use.
    #[must_use]
    pub fn models(&self) -> ModelList {
        let control = self.control.borrow();
        let registry = &control.registry;
        ModelList {
            versions: registry.versions().clone(),
            in_use: registry.all_in_use().clone(),
            moves: registry.moves().to_vec(),
            champion_before: registry.champion_before().cloned(),
        }
    }

    /// The version that a name and a version in words mean: a number, an alias, the id that replies carry, or nothing
    /// for the latest.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field and what there is.
    pub fn find_version(&self, name: &str, version: &str) -> Result<Reference, Error> {
        find(&self.control.borrow(), name, version)
    }

    /// What a registered version holds.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none such, [`Error::Model`] if its bytes are gone or damaged.
    pub async fn model(&self, reference: &Reference) -> Result<(Version, Loaded), Error> {
        let version = self.control.borrow().registry.version(reference).cloned();
        let version = version.ok_or_else(|| Error::missing("version", "there is no such version"))?;
        let artifact = self.artifact(&version.sha256).await?;
        let reading = background::compute_soon(move || tactful_models::artifact::read(&artifact));
        let loaded = reading.await?.map_err(|error| Error::Model(error.to_string()))?;
        Ok((version, loaded))
    }

    /// The bytes of an artifact in the log.
    pub(crate) async fn artifact(&self, sha256: &[u8; 32]) -> Result<Bytes, Error> {
        let lost = || Error::Model("its bytes are not in the log any more: push it again".into());
        self.log.get_blob(sha256).await?.ok_or_else(lost)
    }

    /// Appends a move as long as something else came into use in between, at most [`TRIES_MAX`] times.
    async fn change_alias(&self, ask: impl Fn(&Control) -> Result<AliasMoved, Error>) -> Result<Moved, Error> {
        let _one_change_at_a_time = self.changing.lock().await;
        for _ in 0..TRIES_MAX {
            // In this order: what decides is never older than what the control partition is known to say.
            let mut control = self.control.borrow().clone();
            let current = self.slot.load_full();
            let moved = ask(&control)?;
            let to = self.check_move(&control, &current, &moved).await?;
            let name = moved.name.clone();
            let body = AliasMoved { catalog: control.catalog_offset(), moved: control.registry.moved(), ..moved };
            let offset = control::append(self.log.as_ref(), vec![Body::AliasMoved(body)]).await?;
            let change = control.read_to(self.log.as_ref(), offset).await?;
            self.control_reached(offset).await?;
            if change != Change::Outdated {
                let id = to.as_ref().map_or_else(String::new, |version| version.id.clone());
                let to = to.map(|version| Reference { name: name.clone(), version: version.number });
                return Ok(Moved { to, id, ruleset: self.slot.load().hash() });
            }
        }
        Err(Error::Busy)
    }

    /// The version that a move is to, checked with the catalogue in use and kept compiled.
    async fn check_move(
        &self,
        control: &Control,
        current: &Arc<Current>,
        moved: &AliasMoved,
    ) -> Result<Option<Version>, Error> {
        check_note(&moved.note)?;
        if !(0.0..=1.0).contains(&moved.share) {
            return Err(Error::field("share", format!("{} is not between 0 and 1", moved.share)));
        }
        if moved.name.is_empty() {
            return Ok(None);
        }
        let reference = find(control, &moved.name, &moved.version.to_string())?;
        let version = control.registry.version(&reference).cloned();
        let version = version.ok_or_else(|| Error::missing("version", "there is no such version"))?;
        if self.slot.kept(&version.sha256, current).is_none() {
            let (bank, ..) =
                self.check(current, self.artifact(&version.sha256).await?).await.inspect_err(|_| refused())?;
            self.slot.keep(version.sha256, current, bank);
        }
        Ok(Some(version))
    }

    /// Reads an artifact, compiles it for a ruleset's catalogue, and tries it on recorded requests.
    async fn check(&self, current: &Arc<Current>, artifact: Bytes) -> Result<(Arc<Bank>, Loaded, Trial), Error> {
        let recorded = trial::recorded(self.log.as_ref()).await?;
        let (most, ruleset) = (self.slot.latency_max, Arc::clone(current));
        let checking = background::compute_soon(move || {
            let (bank, loaded) = fit(&ruleset, &artifact)?;
            let requests = trial::requests(&recorded, &ruleset);
            let trial = trial::run(&bank, &ruleset, &requests, most).map_err(Error::Model)?;
            Ok((bank, loaded, trial))
        });
        checking.await?
    }
}

fn body(command: &MoveCommand, rollback: bool) -> AliasMoved {
    let (name, version) = match &command.to {
        Some(to) => (to.name.clone(), to.version),
        None => (String::new(), 0),
    };
    AliasMoved {
        alias: entry_alias(command.alias).into(),
        name,
        version,
        share: if command.alias == Alias::Challenger { command.share } else { 1.0 },
        rollback,
        cause: command.cause.into(),
        note: command.note.clone(),
        ..AliasMoved::default()
    }
}

fn check_note(note: &str) -> Result<(), Error> {
    if note.len() <= NOTE_BYTES_MAX {
        return Ok(());
    }
    Err(Error::field("note", format!("has {} bytes, at most {NOTE_BYTES_MAX} are allowed", note.len())))
}

fn check_room(control: &Control, name: &str) -> Result<(), Error> {
    let versions = control.registry.versions();
    match versions.get(name) {
        Some(known) if known.len() >= VERSIONS_MAX => Err(Error::field(
            "name",
            format!("{name} has {VERSIONS_MAX} versions, the most there may be: choose another name"),
        )),
        None if versions.len() >= NAMES_MAX => {
            Err(Error::field("name", format!("there are {NAMES_MAX} names of models, the most there may be")))
        }
        _ => Ok(()),
    }
}

fn find(control: &Control, name: &str, version: &str) -> Result<Reference, Error> {
    let registry = &control.registry;
    let Some(versions) = registry.versions().get(name) else {
        let near = nearest(name, registry.versions().keys().map(String::as_str));
        let hint = near.map_or_else(|| "push one first".to_owned(), |near| format!("did you mean {near}?"));
        return Err(Error::missing("name", format!("there is no model {name:?}: {hint}")));
    };
    let reference = |version: u32| Reference { name: name.to_owned(), version };
    if let Some(alias) = Alias::ALL.into_iter().find(|alias| alias.name() == version) {
        let in_use = registry.in_use(alias).filter(|in_use| in_use.reference.name == name);
        return in_use
            .map(|in_use| in_use.reference.clone())
            .ok_or_else(|| Error::missing("version", format!("no version of {name} is the {version}")));
    }
    let number = version.strip_prefix('v').unwrap_or(version).parse::<u32>().ok();
    let known = versions.iter().find(|known| Some(known.number) == number || known.id == version);
    match (known, version) {
        (Some(known), _) => Ok(reference(known.number)),
        (None, "") => Ok(reference(versions.len() as u32)),
        (None, _) => {
            let shown: String = version.chars().take(64).collect();
            let last = versions.len();
            Err(Error::missing(
                "version",
                format!("{name} has no version {shown:?}: give a number from 1 to {last}, an alias or an id"),
            ))
        }
    }
}
