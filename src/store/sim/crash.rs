//! What a power cut leaves, one question at a time.

use super::SECTOR;
use super::choices::{Choices, Question};
use super::faults::Damage;
use super::names::{Change, Names};
use super::pages::Sector;
use super::rng::{Rng, derive};

/// One crash: who decides, what can happen, and where garbage comes from.
pub(super) struct Crash<'a> {
    choices: &'a mut dyn Choices,
    damage: &'a Damage,
    seed: u64,
}

impl<'a> Crash<'a> {
    pub(super) fn new(choices: &'a mut dyn Choices, damage: &'a Damage, seed: u64) -> Self {
        Self { choices, damage, seed }
    }

    /// Another file: its garbage is its own.
    pub(super) fn next_file(&mut self) {
        self.seed = derive(self.seed, 0);
    }

    /// An answer that is one. Does not ask where there is nothing to choose.
    fn ask(&mut self, question: Question, answers: usize) -> usize {
        if answers < 2 {
            return 0;
        }
        let answer = self.choices.choose(question, answers);
        assert!(answer < answers, "{question:?} has {answers} answers: {answer} is none");
        answer
    }

    /// The names after the crash: those that were synced, and what survives of the changes.
    pub(super) fn names<'c>(
        &mut self,
        synced: &Names,
        changes: impl IntoIterator<Item = &'c Change>,
    ) -> Names {
        let mut names = synced.clone();
        for change in changes {
            if self.ask(Question::Name, 2) == 1 {
                names.apply(change);
            } else if self.damage.names_in_order {
                break;
            }
        }
        names
    }

    /// The length after the crash: the one that was synced, or one since.
    pub(super) fn length(&mut self, synced: u64, later: &[u64]) -> u64 {
        match self.ask(Question::Length, later.len() + 1).checked_sub(1) {
            Some(index) => later[index],
            None => synced,
        }
    }

    /// What is in a sector after the crash, of which the first version was synced.
    pub(super) fn sector(&mut self, number: u64, versions: &[Sector]) -> Sector {
        const ZEROS: Sector = [0; SECTOR];
        const OLD: usize = 0;
        const NEW: usize = 1;
        let Damage { cuts, zeros, garbage, .. } = *self.damage;
        let cuts = cuts.min(SECTOR as u32 - 1) as usize;
        let torn = NEW + usize::from(cuts > 0);
        let zero = torn + usize::from(zeros && !versions.contains(&ZEROS));
        let answers = zero + 1 + usize::from(garbage);
        match self.ask(Question::Sector, answers) {
            OLD => versions[0],
            NEW => versions[self.version(versions)],
            answer if answer == torn => self.torn(versions, cuts),
            answer if answer == zero => ZEROS,
            _ => self.garbage(number),
        }
    }

    /// Which of the versions since the sync.
    fn version(&mut self, versions: &[Sector]) -> usize {
        let later = versions.len() - 1;
        later - self.ask(Question::Version, later)
    }

    /// The beginning of one version, and the rest of an earlier one.
    fn torn(&mut self, versions: &[Sector], cuts: usize) -> Sector {
        let over = self.version(versions);
        let mut sector = versions[self.ask(Question::Under, over)];
        let cut = (self.ask(Question::Cut, cuts) + 1) * SECTOR / (cuts + 1);
        sector[..cut].copy_from_slice(&versions[over][..cut]);
        sector
    }

    fn garbage(&self, number: u64) -> Sector {
        let mut rng = Rng::new(derive(self.seed, number));
        let mut sector = [0; SECTOR];
        for word in sector.as_chunks_mut().0 {
            *word = rng.next().to_le_bytes();
        }
        sector
    }
}
