package daemon

import (
	"log/slog"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLogText bounds one string in a log line, in bytes. An error of libp2p lists every
// address that it dialled, and text from a peer may have any length.
const maxLogText = 2048

// replaceAttr escapes text from other peers, and drops the time if the reader of the log
// adds its own.
func replaceAttr(timeless bool) func([]string, slog.Attr) slog.Attr {
	return func(groups []string, a slog.Attr) slog.Attr {
		if timeless && a.Key == slog.TimeKey && len(groups) == 0 {
			return slog.Attr{}
		}
		switch v := a.Value; v.Kind() {
		case slog.KindString:
			a.Value = slog.StringValue(logText(v.String()))
		case slog.KindAny:
			if err, ok := v.Any().(error); ok {
				a.Value = slog.StringValue(logText(err.Error()))
			}
		}
		return a
	}
}

// logText escapes unprintable characters, such as terminal escapes, line breaks and text
// direction marks, and truncates long text.
func logText(s string) string {
	cut := ""
	if len(s) > maxLogText {
		cut = "... (" + strconv.Itoa(len(s)) + " bytes)"
		s = s[:maxLogText]
	}
	if !strings.ContainsFunc(s, notForLogs) {
		return s + cut
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteString(`\x` + strconv.FormatUint(uint64(s[i])|0x100, 16)[1:])
		case notForLogs(r):
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		default:
			b.WriteRune(r)
		}
		i += size
	}
	return b.String() + cut
}

// notForLogs reports whether r must be escaped: it is unprintable or the mark of invalid
// UTF-8.
func notForLogs(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }
