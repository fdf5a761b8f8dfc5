//! What a simulated disk does with names.

use super::super::inode::Inode;
use super::super::names::{Change, Number};
use super::super::ops::Operation;
use super::Machine;
use crate::store::name::plain;
use std::io::{self, ErrorKind};
use std::sync::Arc;

impl Machine {
    pub(in super::super) fn list(&self) -> io::Result<Vec<String>> {
        self.check_power()?;
        Ok(self.names.iter().map(|(name, _)| String::from(&**name)).collect())
    }

    pub(in super::super) fn create(&mut self, name: &str) -> io::Result<Number> {
        let name: Arc<str> = name.into();
        self.run(Operation::Create { name: Arc::clone(&name) }, |machine| {
            plain(&name)?;
            if machine.names.get(&name).is_some() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            let file = machine.next_file;
            machine.next_file += 1;
            machine.files.insert(file, Inode::new(Arc::clone(&name)));
            machine.change(Change::Create { name, file });
            Ok(file)
        })
    }

    pub(in super::super) fn open(&mut self, name: &str) -> io::Result<Number> {
        self.check_power()?;
        let file = self.find(name)?;
        self.file(file).handles += 1;
        Ok(file)
    }

    pub(in super::super) fn close(&mut self, number: Number) {
        let file = self.file(number);
        file.handles -= 1;
        if file.handles == 0 && !file.is_named {
            self.used -= self.files[&number].held();
        }
    }

    pub(in super::super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let (from, to): (Arc<str>, Arc<str>) = (from.into(), to.into());
        let operation = Operation::Rename { from: Arc::clone(&from), to: Arc::clone(&to) };
        self.run(operation, |machine| {
            plain(&to)?;
            let file = machine.find(&from)?;
            match machine.names.get(&to) {
                Some(same) if same == file => return Ok(()),
                Some(other) => machine.unname(other),
                None => {}
            }
            machine.file(file).name = Arc::clone(&to);
            machine.change(Change::Rename { from, to, file });
            Ok(())
        })
    }

    pub(in super::super) fn remove(&mut self, name: &str) -> io::Result<()> {
        let name: Arc<str> = name.into();
        self.run(Operation::Remove { name: Arc::clone(&name) }, |machine| {
            let file = machine.find(&name)?;
            machine.unname(file);
            machine.change(Change::Remove { name, file });
            Ok(())
        })
    }

    pub(in super::super) fn sync_directory(&mut self) -> io::Result<()> {
        self.sync_with(
            Operation::SyncDirectory,
            |machine| {
                for change in std::mem::take(&mut machine.changes) {
                    machine.synced_names.apply(&change);
                    machine.forgotten_changes.retain(|forgotten| !forgotten.touches(&change));
                }
                machine.drop_unreachable();
            },
            |machine| machine.forgotten_changes.append(&mut machine.changes),
        )
    }

    fn find(&self, name: &str) -> io::Result<Number> {
        plain(name)?;
        self.names.get(name).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn change(&mut self, change: Change) {
        self.names.apply(&change);
        self.changes.push(change);
    }

    /// A file lost its name. Its room is free when nobody has it open.
    fn unname(&mut self, number: Number) {
        let file = self.file(number);
        file.is_named = false;
        if file.handles == 0 {
            self.used -= self.files[&number].held();
        }
    }

    /// Forgets the files that nothing can lead to any more (I1).
    fn drop_unreachable(&mut self) {
        let Self { files, synced_names, forgotten_changes, .. } = self;
        if files.values().all(|file| file.is_named || file.handles > 0) {
            return;
        }
        files.retain(|number, file| {
            file.is_named
                || file.handles > 0
                || synced_names.iter().any(|(_, it)| it == *number)
                || forgotten_changes.iter().any(|change| change.file() == *number)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::Machine;

    #[test]
    fn files_that_nothing_leads_to_take_no_memory() {
        let mut machine = Machine::new(0);
        for _ in 0..10 {
            let file = machine.create("a").expect("no such name");
            machine.sync_directory().expect("no faults");
            machine.remove("a").expect("created above");
            assert_eq!(machine.files.len(), 1, "the name is durable yet");
            machine.sync_directory().expect("no faults");
            assert_eq!(machine.files.len(), 1, "somebody has it open");
            machine.close(file);
            machine.sync_directory().expect("no faults");
            assert_eq!(machine.files.len(), 0);
        }
    }
}
