//! What a simulated disk does with files that are open.

use super::super::names::Number;
use super::super::ops::Operation;
use super::super::pages::PAGE;
use super::{Luck, Machine, counted_down, failure};
use std::io::{self, ErrorKind};

/// No file is longer: a bound for the table of its pages.
const LEN_MAX: u64 = 16 << 30;

impl Machine {
    pub(in super::super) fn len(&mut self, number: Number) -> io::Result<u64> {
        self.check_power()?;
        Ok(self.file(number).len())
    }

    pub(in super::super) fn read(
        &mut self,
        number: Number,
        buffer: &mut [u8],
        offset: u64,
    ) -> io::Result<usize> {
        self.check_power()?;
        check_position(offset)?;
        if counted_down(&mut self.faults.fail_read) {
            return Err(failure());
        }
        let len = match self.luck(self.faults.short_reads)? {
            Luck::Short if buffer.len() > 1 => 1 + self.rng.below(buffer.len() - 1),
            _ => buffer.len(),
        };
        Ok(self.file(number).read(&mut buffer[..len], offset))
    }

    pub(in super::super) fn write(
        &mut self,
        number: Number,
        bytes: &[u8],
        offset: u64,
    ) -> io::Result<usize> {
        self.check_power()?;
        let file = self.name(number);
        let outcome = self.try_write(number, bytes, offset);
        let bytes = *outcome.as_ref().unwrap_or(&bytes.len());
        self.log(Operation::Write { file, offset, bytes }, outcome)
    }

    fn try_write(&mut self, number: Number, bytes: &[u8], offset: u64) -> io::Result<usize> {
        check_position(offset)?;
        let mut len = bytes.len();
        match self.luck_of_operation(self.faults.short_writes)? {
            Luck::Failure => return Err(failure()),
            Luck::Short if len > 1 => len = 1 + self.rng.below(len - 1),
            _ => {}
        }
        if len == 0 {
            return Ok(0);
        }
        if offset >= LEN_MAX {
            return Err(ErrorKind::FileTooLarge.into());
        }
        len = len.min(usize::try_from(LEN_MAX - offset).unwrap_or(usize::MAX));
        let room = self.room();
        let file = self.file(number);
        let before = file.held();
        len = file.fitting(offset, len, room);
        if len == 0 {
            return Err(ErrorKind::StorageFull.into());
        }
        file.write(&bytes[..len], offset);
        let more = file.held() - before;
        self.used += more;
        Ok(len)
    }

    pub(in super::super) fn allocate(&mut self, number: Number, len: u64) -> io::Result<()> {
        self.check_power()?;
        let file = self.name(number);
        self.run(Operation::Allocate { file, len }, |machine| {
            check_len(len)?;
            let room = machine.room();
            let file = machine.file(number);
            let more = file.missing(len);
            if more > room {
                return Err(ErrorKind::StorageFull.into());
            }
            file.allocate(len);
            machine.used += more;
            Ok(())
        })
    }

    pub(in super::super) fn set_len(&mut self, number: Number, len: u64) -> io::Result<()> {
        self.check_power()?;
        let file = self.name(number);
        self.run(Operation::SetLen { file, len }, |machine| {
            check_len(len)?;
            let file = machine.file(number);
            let before = file.held();
            file.set_len(len);
            let less = before - file.held();
            machine.used -= less;
            Ok(())
        })
    }

    pub(in super::super) fn sync(&mut self, number: Number) -> io::Result<()> {
        self.check_power()?;
        let file = self.name(number);
        self.sync_with(
            Operation::Sync { file },
            |machine| machine.file(number).sync(),
            |machine| machine.file(number).forget(),
        )
    }

    /// How many pages more fit.
    fn room(&self) -> usize {
        let Some(bytes) = self.faults.capacity_bytes else { return usize::MAX };
        let pages = usize::try_from(bytes / PAGE as u64).unwrap_or(usize::MAX);
        pages.saturating_sub(self.used)
    }
}

/// What no real file takes as an offset either.
fn check_position(offset: u64) -> io::Result<()> {
    if i64::try_from(offset).is_err() { Err(ErrorKind::InvalidInput.into()) } else { Ok(()) }
}

fn check_len(len: u64) -> io::Result<()> {
    check_position(len)?;
    if len > LEN_MAX { Err(ErrorKind::FileTooLarge.into()) } else { Ok(()) }
}
