package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
)

// notify tells systemd a state; without NOTIFY_SOCKET it does nothing.
func notify(log *slog.Logger, state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		log.Warn("systemd could not be notified", "state", state, "error", err)
	}
}

func notifyStatus(log *slog.Logger, format string, args ...any) {
	notify(log, "STATUS="+fmt.Sprintf(format, args...))
}

// notifyReloading begins a reload; READY=1 ends it. systemd wants the monotonic
// clock with it (sd_notify(3), RELOADING=1).
func notifyReloading(log *slog.Logger) {
	state := sd.SdNotifyReloading
	if usec := monotonicUsec(); usec > 0 {
		state += fmt.Sprintf("\nMONOTONIC_USEC=%d", usec)
	}
	notify(log, state)
}

// watchdog feeds systemd's watchdog while alive returns nil, until ctx ends. It
// asks twice in each interval, so that one slow answer is no death.
func watchdog(ctx context.Context, log *slog.Logger, alive func(context.Context) error) {
	interval, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("WATCHDOG_USEC cannot be used; the watchdog is off", "error", err)
	}
	if err != nil || interval == 0 {
		return
	}
	tick := time.NewTicker(interval / 2)
	defer tick.Stop()
	for {
		probe, cancel := context.WithTimeout(ctx, interval/2)
		if err := alive(probe); err == nil {
			notify(log, sd.SdNotifyWatchdog)
		} else if ctx.Err() == nil {
			log.Error("no sign of life; the watchdog is not fed", "error", err)
		}
		cancel()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
