//! The handler of SIGBUS, and the one that it was put in front of.
//!
//! What we do with a SIGBUS:
//!
//! | it is | then |
//! |---|---|
//! | a page that is not there (`BUS_ADRERR`) in a watched range | the rest of the range becomes zero pages |
//! | anything else: an address of somebody else, broken memory (`BUS_MCEERR_*`), sent by `kill` | the handler before ours |
//!
//! The handler before ours is called as the system would have called it: with its mask, on the stack that
//! it asked for, with one argument or three. If there was none the process dies as it would have without
//! us: the default action is restored, and the access faults again. `std` has a handler, too, which does
//! just that.

use super::table::{Slot, TABLE};
use crate::sys::fork::Lineage;
use std::io;
use std::mem::{self, MaybeUninit};
use std::ops::Range;
use std::ptr;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicPtr, AtomicUsize};
use std::sync::{Mutex, PoisonError};

type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// What the system did about SIGBUS before us; null until we are installed. Never freed.
static BEFORE: AtomicPtr<libc::sigaction> = AtomicPtr::new(ptr::null_mut());

/// The size of a page, for the handler.
static PAGE: AtomicUsize = AtomicUsize::new(0);

pub(super) fn install() -> io::Result<()> {
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    if is_ready() {
        let covered = || io::Error::other("another handler of SIGBUS was installed over the guard");
        return if is_installed() { Ok(()) } else { Err(covered()) };
    }
    // Has the handler know a child of `fork` from its parent.
    Lineage::current();
    // SAFETY: reads a constant of the system.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    // Relaxed: the handler is installed behind it, by a syscall of this thread.
    PAGE.store(page, Relaxed);
    let before = action()?;
    // The handler must find its predecessor from its first moment on, and it has one for ever.
    let kept = Box::leak(Box::new(before));
    // Release: pairs with the Acquire in `predecessor`.
    BEFORE.store(kept, Release);
    let installed = set(&ours(&before));
    if installed.is_err() {
        // Release: as above. The few bytes are lost.
        BEFORE.store(ptr::null_mut(), Release);
    }
    installed
}

pub(super) fn is_installed() -> bool {
    is_ready() && action().is_ok_and(|action| action.sa_sigaction == address_of_handler())
}

/// Whether we have been installed, and not whether we still are.
pub(super) fn is_ready() -> bool {
    predecessor().is_some()
}

/// Our action, where `before` was in force.
fn ours(before: &libc::sigaction) -> libc::sigaction {
    let mut action = *before;
    action.sa_sigaction = address_of_handler();
    let kept = if is_function(before) {
        before.sa_flags & (libc::SA_ONSTACK | libc::SA_RESTART | libc::SA_NODEFER)
    } else {
        libc::SA_ONSTACK | libc::SA_RESTART
    };
    action.sa_flags = kept | libc::SA_SIGINFO;
    action
}

fn is_function(action: &libc::sigaction) -> bool {
    action.sa_sigaction != libc::SIG_DFL && action.sa_sigaction != libc::SIG_IGN
}

fn address_of_handler() -> libc::sighandler_t {
    on_sigbus as Handler as libc::sighandler_t
}

fn predecessor() -> Option<&'static libc::sigaction> {
    // Acquire: pairs with the Release in `install`.
    let before = BEFORE.load(Acquire);
    // SAFETY: null or a leaked box, never written to again.
    unsafe { before.as_ref() }
}

/// What the system does about SIGBUS now.
fn action() -> io::Result<libc::sigaction> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a question: nothing is installed, and the answer goes where there is room for it.
    let outcome = unsafe { libc::sigaction(libc::SIGBUS, ptr::null(), action.as_mut_ptr()) };
    if outcome != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: plain integers and addresses, of which zero bytes are valid ones.
    Ok(unsafe { action.assume_init() })
}

/// Async-signal-safe.
fn set(action: &libc::sigaction) -> io::Result<()> {
    // SAFETY: the action is one that the system gave us, or ours, which may be called in any thread at any
    // moment: `on_sigbus` is async-signal-safe.
    let outcome = unsafe { libc::sigaction(libc::SIGBUS, action, ptr::null_mut()) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// What happens at a SIGBUS. Async-signal-safe: atomics, `mmap`, `sigaction`, `raise`.
extern "C" fn on_sigbus(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let errno = errno();
    // SAFETY: the system hands a valid one to handlers with three arguments.
    let about = unsafe { &*info };
    let code = about.si_code;
    let is_ours = code == libc::BUS_ADRERR && {
        // SAFETY: with this code it has an address.
        let address = unsafe { about.si_addr() };
        TABLE.act(address.addr(), |slot, range| replace(slot, range, address))
    };
    if !is_ours {
        pass_on(signal, code, info, context);
    }
    set_errno(errno);
}

/// Marks `range` as lost and puts zero pages in the place of its pages from `fault` on.
fn replace(slot: &Slot, range: Range<usize>, fault: *mut libc::c_void) -> bool {
    // I2: before the pages.
    slot.poison();
    // Relaxed: written before the handler was installed.
    let page = PAGE.load(Relaxed);
    let whole = range.start & !(page - 1)..range.end.next_multiple_of(page);
    let rest = fault.addr() & !(page - 1)..whole.end;
    // Half a mapping is one more of them, of which there may be too many already.
    map_zeros(fault, rest) || map_zeros(fault, whole)
}

fn map_zeros(fault: *mut libc::c_void, range: Range<usize>) -> bool {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE;
    let (start, len) = (fault.with_addr(range.start), range.len());
    // SAFETY: I1: the range is watched, so it is part of a mapping of its watcher, who can do with zeros;
    // and it stays mapped as long as we are in here.
    let mapped = unsafe { libc::mmap(start, len, libc::PROT_READ, flags, -1, 0) };
    mapped != libc::MAP_FAILED
}

/// Does what would have happened without us.
fn pass_on(
    signal: libc::c_int,
    code: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // It is there: we are installed behind it.
    let Some(before) = predecessor() else { return };
    // The system does not let a fault be ignored; a signal that was sent, it does.
    let is_fault = code > 0 && code != libc::BUS_MCEERR_AO;
    if before.sa_sigaction == libc::SIG_IGN && !is_fault {
        return;
    }
    if !is_function(before) {
        die(signal, is_fault);
        return;
    }
    if before.sa_flags & libc::SA_RESETHAND != 0 {
        restore_default();
    }
    if before.sa_flags & libc::SA_SIGINFO == 0 {
        // SAFETY: an address of a function, and one without that flag has one argument.
        let handler: extern "C" fn(libc::c_int) = unsafe { mem::transmute(before.sa_sigaction) };
        handler(signal);
    } else {
        // SAFETY: an address of a function, and one with that flag has three arguments.
        let handler: Handler = unsafe { mem::transmute(before.sa_sigaction) };
        handler(signal, info, context);
    }
}

/// Ends the process by this signal, when the handler returns.
fn die(signal: libc::c_int, is_fault: bool) {
    restore_default();
    if !is_fault {
        // It is blocked while we are in its handler, and comes when we leave. A fault happens again.
        // SAFETY: has no preconditions.
        unsafe { libc::raise(signal) };
    }
}

fn restore_default() {
    let action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: plain integers and addresses; zero bytes are the default action, without flags and mask.
    let mut action = unsafe { action.assume_init() };
    action.sa_sigaction = libc::SIG_DFL;
    // The signal is a valid one, so that this does not fail.
    let _ = set(&action);
}

fn errno() -> libc::c_int {
    // SAFETY: this thread's own.
    unsafe { *errno_location() }
}

fn set_errno(errno: libc::c_int) {
    // SAFETY: as above.
    unsafe { *errno_location() = errno };
}

fn errno_location() -> *mut libc::c_int {
    #[cfg(target_os = "linux")]
    // SAFETY: has no preconditions.
    unsafe {
        libc::__errno_location()
    }
    #[cfg(target_os = "android")]
    // SAFETY: has no preconditions.
    unsafe {
        libc::__errno()
    }
}
