//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// screen is a pseudo-terminal with a running program.
type screen struct {
	t      *testing.T
	master *os.File
	tty    *os.File
	cmd    *exec.Cmd
	mode   *unix.Termios // before the program started

	mu   sync.Mutex
	text bytes.Buffer
	read sync.WaitGroup
}

// onScreen starts holdfast on a terminal of the given size.
func onScreen(t *testing.T, width, height int, env []string, args ...string) *screen {
	t.Helper()
	s := &screen{t: t}
	s.master, s.tty = openTerminal(t, width, height)
	var err error
	s.mode, err = unix.IoctlGetTermios(int(s.tty.Fd()), unix.TCGETS)
	require.NoError(t, err)
	s.cmd = exec.Command("holdfast", args...)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = s.tty, s.tty, s.tty
	s.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TERM=xterm"}, env...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, s.cmd.Start())
	t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
		}
	})
	s.read.Go(func() {
		part := make([]byte, 4096)
		for {
			n, err := s.master.Read(part)
			s.mu.Lock()
			s.text.Write(part[:n])
			s.mu.Unlock()
			if err != nil { // EIO: no process has the terminal open
				return
			}
		}
	})
	return s
}

// openTerminal opens a pseudo-terminal of the given size.
func openTerminal(t *testing.T, width, height int) (master, tty *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	resize(t, master, width, height)
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { tty.Close() })
	return master, tty
}

func resize(t *testing.T, master *os.File, width, height int) {
	t.Helper()
	require.NoError(t, unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(width), Row: uint16(height)}))
}

// shown returns everything written so far.
func (s *screen) shown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// until waits until more than so many pictures were begun.
func (s *screen) until(pictures int) {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return len(s.pictures()) > pictures }, time.Minute, time.Millisecond, "%q", s.shown())
}

// pictures splits the output at each return to the top of the screen. The last one may be
// incomplete.
func (s *screen) pictures() []string {
	return strings.Split(s.shown(), ansi.CursorHomePosition)[1:]
}

func (s *screen) press(keys string) {
	_, err := s.master.WriteString(keys)
	require.NoError(s.t, err)
}

// end waits until the program has exited, and returns its exit code and its output.
func (s *screen) end() (code int, shown string) {
	s.t.Helper()
	_ = s.cmd.Wait()
	mode, err := unix.IoctlGetTermios(int(s.tty.Fd()), unix.TCGETS)
	require.NoError(s.t, err)
	require.Equal(s.t, s.mode, mode, "the terminal is as it was before")
	require.NoError(s.t, s.tty.Close())
	s.read.Wait()
	return s.cmd.ProcessState.ExitCode(), s.shown()
}

// living is a daemon whose overview changes with each request, until a test breaks it.
type living struct {
	*scripted
	mu     sync.Mutex
	taken  int
	broken error
}

func (l *living) Overview(context.Context) (api.Overview, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken++
	_, o := twoOverviews()
	o.Taken = o.Taken.Add(time.Duration(l.taken) * time.Second)
	return *o, l.broken
}

func (l *living) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = err
}

// leaves restores the screen.
const leaves = ansi.ShowCursor + ansi.ResetModeAltScreenSaveCursor

func serveLiving(t *testing.T) (b *living, socket string) {
	t.Helper()
	b = &living{scripted: content()}
	return b, socketOf(t, b)
}

// However top ends, its exit code is right and the terminal is as before.
func TestTopEnds(t *testing.T) {
	for name, c := range map[string]struct {
		flags string
		end   func(s *screen, b *living)
		code  int
		says  string // printed after the screen is restored
	}{
		"q":            {"", func(s *screen, _ *living) { s.press("q") }, exitDone, ""},
		"other keys":   {"", func(s *screen, _ *living) { s.press("xQ\x1b[A q") }, exitDone, ""},
		"^C":           {"", func(s *screen, _ *living) { s.press("\x03") }, exitInterrupted, "holdfast: interrupted"},
		"SIGTERM":      {"", func(s *screen, _ *living) { _ = s.cmd.Process.Signal(syscall.SIGTERM) }, exitInterrupted, "holdfast: interrupted"},
		"--count":      {"--count 2", func(*screen, *living) {}, exitDone, ""},
		"the daemon":   {"", func(_ *screen, b *living) { b.fail(api.Errorf(api.CodeInternal, "the loop ended")) }, exitFailed, "holdfast: the loop ended"},
		"^C, NO_COLOR": {"", func(s *screen, _ *living) { s.press("\x03") }, exitInterrupted, "holdfast: interrupted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, socket := serveLiving(t)
			var env []string
			if strings.Contains(name, "NO_COLOR") {
				env = []string{"NO_COLOR=1"}
			}
			s := onScreen(t, 130, 40, env, append([]string{"top", "--interval", "200ms", "--api", socket}, strings.Fields(c.flags)...)...)
			s.until(1)
			c.end(s, b)
			code, shown := s.end()
			require.Equal(t, c.code, code, "%q", shown)
			require.True(t, strings.HasPrefix(shown, ansi.SetModeAltScreenSaveCursor+ansi.HideCursor), "%q", shown)
			_, after, left := strings.Cut(shown, leaves)
			require.True(t, left, "%q", shown)
			require.Equal(t, c.says, strings.TrimSpace(ansi.Strip(after)))
			require.Equal(t, len(env) == 0, strings.Contains(shown, "\x1b[1m"), "%q", shown)
		})
	}
}

// A picture fits its window, also after the window has changed.
func TestTopFitsItsWindow(t *testing.T) {
	_, socket := serveLiving(t)
	s := onScreen(t, 130, 40, nil, "top", "--interval", "200ms", "--api", socket)
	s.until(2)
	require.Contains(t, ansi.Strip(s.pictures()[0]), "REQUESTS")
	for _, size := range [][2]int{{60, 10}, {200, 50}, {20, 3}, {100, 24}} {
		resize(t, s.master, size[0], size[1])
		from := len(s.pictures())
		s.until(from + 2) // one may have started before
		picture := s.pictures()[from+1]
		lines := strings.Split(strings.TrimSuffix(ansi.Strip(picture), "\r\n"), "\r\n")
		require.Less(t, len(lines), size[1], "%q", picture)
		for _, line := range lines {
			require.LessOrEqual(t, ansi.StringWidth(line), size[0], "%q", line)
		}
	}
	s.press("q")
	code, _ := s.end()
	require.Zero(t, code)
}

// On a terminal, the message of an interrupted command overwrites ^C and the progress.
func TestInterruptedOnATerminal(t *testing.T) {
	s := onScreen(t, 100, 40, nil, "sim", "run", "--nodes", "300", "--hours", "1000")
	require.Eventually(t, func() bool { return strings.Contains(s.shown(), "simulated ") }, time.Minute, time.Millisecond)
	s.press("\x03") // the terminal converts it to SIGINT
	code, shown := s.end()
	require.Equal(t, exitInterrupted, code)
	lines := strings.Split(strings.TrimSuffix(shown, "\r\n"), "\r\n")
	require.Equal(t, "\r"+ansi.EraseLineRight+"holdfast: interrupted", lines[len(lines)-1], "%q", shown)
}
