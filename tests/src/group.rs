//! A child with a process group of its own, ended with all that it has started.

use std::{
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus},
};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::wait;

/// A child process and its group. Dropping it kills both.
#[derive(Debug)]
pub struct Group {
    child: Child,
}

impl Group {
    /// Starts the command as the leader of a new process group.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        let child = command
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self { child }
    }

    /// How the child ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of this process")
    }

    /// Waits until the child has ended by itself.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn wait(&mut self) -> ExitStatus {
        wait::until_blocking("a process to end", || self.ended().ok_or("it runs"))
    }

    /// Asks the child alone to end, as a supervisor does.
    pub fn terminate(&self) {
        rustix::process::kill_process(self.pid(), Signal::TERM).expect("a running child");
    }

    /// Interrupts the group, as Ctrl-C in a terminal does.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Kills the group without a warning.
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            self.signal(Signal::KILL);
            self.wait();
        }
    }

    /// Stops the group where it stands.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a frozen group go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        // The leader is not waited for, so that its number is not yet another's.
        kill_process_group(self.pid(), signal).expect("a running group");
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
