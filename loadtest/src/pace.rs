//! Waiting for a moment to within microseconds; Tokio's timer counts milliseconds. On Linux the kernel
//! wakes the thread, so that its core belongs to whoever is measured until then; elsewhere the thread polls.

use std::io;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Gaps from here on are left to Tokio's timer, which wakes early enough.
const TIMER_SLACK: Duration = Duration::from_millis(2);

/// Wakes the thread that it was made on.
pub(crate) struct Pace {
    alarm: alarm::Alarm,
}

impl Pace {
    /// # Errors
    /// If the system has no timer to give.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { alarm: alarm::Alarm::new()? })
    }

    /// Sleeps until the moment, and lets others work at least once if it has passed: sending at full speed
    /// must not starve the answers.
    ///
    /// # Errors
    /// If the system's timer fails.
    pub(crate) async fn until(&self, moment: Instant) -> io::Result<()> {
        if let Some(early) = moment.checked_sub(TIMER_SLACK)
            && early > Instant::now()
        {
            sleep_until(early).await;
        }
        tokio::task::yield_now().await;
        while let Some(left) = moment.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            self.alarm.after(left).await?;
        }
        Ok(())
    }
}

#[cfg(target_os = "linux")]
mod alarm {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
    };
    use tokio::io::unix::AsyncFd;

    pub(super) struct Alarm(AsyncFd<OwnedFd>);

    impl Alarm {
        #[expect(deprecated, reason = "its successor is unsafe, for descriptors that may be closed; this one is owned")]
        pub(super) fn new() -> io::Result<Self> {
            let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
            Ok(Self(AsyncFd::new(timer)?))
        }

        pub(super) async fn after(&self, time: Duration) -> io::Result<()> {
            let it_value = Timespec::try_from(time).map_err(io::Error::other)?;
            let once = Itimerspec { it_interval: Timespec::default(), it_value };
            timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once)?;
            loop {
                let mut ready = self.0.readable().await?;
                let mut times = [0; size_of::<u64>()];
                if let Ok(read) = ready.try_io(|timer| Ok(rustix::io::read(timer, &mut times)?)) {
                    return read.map(|_| ());
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod alarm {
    use std::io;
    use std::time::Duration;

    pub(super) struct Alarm;

    impl Alarm {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self)
        }

        pub(super) async fn after(&self, _: Duration) -> io::Result<()> {
            tokio::task::yield_now().await;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn wakes_never_early_and_takes_moments_that_have_passed() {
        let pace = Pace::new().unwrap();
        let start = Instant::now();
        for gap in [0, 30, 150, 900, 2_500, 100] {
            let moment = Instant::now() + Duration::from_micros(gap);
            pace.until(moment).await.unwrap();
            assert!(Instant::now() >= moment);
        }
        pace.until(start).await.unwrap();
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn waiting_takes_next_to_no_time_of_the_core() {
        let pace = Pace::new().unwrap();
        let before = crate::cpu::thread_cpu().unwrap();
        let start = Instant::now();
        for turn in 1..=200 {
            pace.until(start + turn * Duration::from_micros(500)).await.unwrap();
        }
        let busy = crate::cpu::thread_cpu().unwrap() - before;
        assert!(busy < start.elapsed() / 3, "{busy:?} of {:?}", start.elapsed());
    }
}
