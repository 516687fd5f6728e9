package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/dustin/go-humanize/english"

	"github.com/holdfast-dht/holdfast/internal/verdict"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

const (
	// statusEvery is how often the line that `systemctl status` shows is updated.
	statusEvery = 5 * time.Second
	// extendEvery is how often a long step of the start asks systemd for extendBy more
	// time, up to extendLimit: a step that takes longer hangs.
	extendEvery = 20 * time.Second
	extendBy    = time.Minute
	extendLimit = time.Hour
)

// notify sends a state to systemd. Without NOTIFY_SOCKET it does nothing.
func notify(log *slog.Logger, state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		log.Warn("systemd could not be notified", "state", state, "err", err)
	}
}

// notifyStatus sets the line that `systemctl status` shows. It replaces line breaks,
// because they would start another message to systemd.
func notifyStatus(log *slog.Logger, format string, args ...any) {
	notify(log, "STATUS="+strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "; "))
}

// extending runs f and meanwhile asks systemd for more time with tell.
func extending(tell func(state string), f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	tick := time.NewTicker(extendEvery)
	defer tick.Stop()
	for left := extendLimit / extendEvery; ; left-- {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			if left > 0 {
				tell(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", extendBy.Microseconds()))
			}
		}
	}
}

// tellStatus keeps the status line of systemd up to date until ctx ends.
func (d *Daemon) tellStatus(ctx context.Context) {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return
	}
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	for told := ""; ; {
		doing := make(chan string, 1)
		err := within(ctx, func() error { doing <- d.doing(); return nil })
		if err == nil && ctx.Err() == nil {
			if now := <-doing; now != told {
				notifyStatus(d.log, "%s", now)
				told = now
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// doing returns the verdict on the node, and its state, in a line.
func (d *Daemon) doing() string {
	s := d.node.Status()
	role := "client"
	if s.Serving {
		role = "serving"
	}
	held := s.Records.Records[records.KindProvider] + s.Records.Records[records.KindValue]
	text := fmt.Sprintf("peer %s, %s %s; %s in the table, %s held", s.ID, role, d.node.Protocol(),
		english.Plural(s.TablePeers, "peer", ""), english.Plural(int(held), "record", ""))
	st := d.backend.status(&s)
	v := d.judge(&s, &st)
	says := v.Word
	if v.Level != verdict.OK {
		says = verdict.Cause(v.Cause).String()
	}
	text = says + "; " + text
	if r := d.refused.Load(); r != nil {
		text += "; configuration not reloaded: " + r.why
	}
	return text
}

// notifyReloading announces a reload; READY=1 ends it. systemd needs the monotonic clock
// with it (sd_notify(3), RELOADING=1).
func notifyReloading(log *slog.Logger) {
	state := sd.SdNotifyReloading
	if usec := monotonicUsec(); usec > 0 {
		state += fmt.Sprintf("\nMONOTONIC_USEC=%d", usec)
	}
	notify(log, state)
}

// watchdog feeds systemd's watchdog while alive returns nil, until ctx ends. It calls
// alive twice per interval, so that one slow answer does not count as a hang.
func watchdog(ctx context.Context, log *slog.Logger, alive func(context.Context) error) {
	interval, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("WATCHDOG_USEC cannot be used; the watchdog is off", "err", err)
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
			log.Error("the daemon is not healthy; the watchdog is not fed", "err", err)
		}
		cancel()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
