package daemon

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// onJournal reports whether w is the stream to systemd's journal that
// $JOURNAL_STREAM names as device:inode (systemd.exec(5)).
func onJournal(w io.Writer, stream string) bool {
	f, ok := w.(*os.File)
	if !ok || stream == "" {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stream == fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}
