package columns

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// Printable replaces what is not printable, such as control sequences for a terminal, by
// question marks.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// Field is a name with its value.
type Field struct {
	Name, Value string
	// Paint colours a piece of the value, if it is not nil.
	Paint func(piece string) string
}

// Fields prints names and values in two columns. A value with a word that does not fit
// goes below its name. A width of 0 means no terminal.
func Fields(w io.Writer, width int, fields []Field) error {
	left := 0
	for _, f := range fields {
		left = max(left, ansi.StringWidth(f.Name)+1+gap)
	}
	var b strings.Builder
	for _, f := range fields {
		f.write(&b, width, left)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (f *Field) write(b *strings.Builder, width, left int) {
	b.WriteString(f.Name + ":")
	at, room := ansi.StringWidth(f.Name)+1, 0
	if width > 0 {
		if room = width - left; longest(f.Value) > room {
			b.WriteByte('\n')
			at, left, room = 0, indent, width-indent
		}
		room = max(room, 1)
	}
	for i, piece := range wrap(f.Value, room) {
		if i > 0 {
			b.WriteByte('\n')
			at = 0
		}
		b.WriteString(strings.Repeat(" ", left-at))
		if f.Paint != nil {
			piece = f.Paint(piece)
		}
		b.WriteString(piece)
	}
	b.WriteByte('\n')
}

// Paragraph breaks text into lines of a width; 0 leaves it on one line.
func Paragraph(text string, width int) string {
	if width == 0 || ansi.StringWidth(text) <= width {
		return text
	}
	return strings.Join(wrap(text, width), "\n")
}

// Words prints words on one line. If they do not fit, the first is on its own line and
// the others are below it. A width of 0 means no terminal.
func Words(w io.Writer, width int, words []string) error {
	text := strings.Join(words, " ")
	if width > 0 && ansi.StringWidth(text) > width {
		lines := wrap(words[0], width)
		for _, word := range words[1:] {
			for _, part := range wrap(word, max(width-indent, 1)) {
				lines = append(lines, strings.Repeat(" ", indent)+part)
			}
		}
		text = strings.Join(lines, "\n")
	}
	_, err := io.WriteString(w, text+"\n")
	return err
}

func longest(text string) (n int) {
	for word := range strings.FieldsSeq(text) {
		n = max(n, ansi.StringWidth(word))
	}
	return n
}

// wrap breaks text that is wider than width between words. A width of 0 never breaks.
func wrap(text string, width int) []string {
	if text == "" {
		return nil
	}
	if width == 0 || ansi.StringWidth(text) <= width {
		return []string{text}
	}
	var lines []string
	line, used := "", 0
	for word := range strings.FieldsSeq(text) {
		for _, part := range parts(word, width) {
			n := ansi.StringWidth(part)
			switch {
			case line == "":
				line, used = part, n
			case used+1+n <= width:
				line, used = line+" "+part, used+1+n
			default:
				lines = append(lines, line)
				line, used = part, n
			}
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// parts cuts a word that is wider than width, if possible before a slash.
func parts(word string, width int) []string {
	var all []string
	for ansi.StringWidth(word) > width {
		n := len(ansi.Truncate(word, width, ""))
		if n == 0 { // not even one character fits
			_, n = utf8.DecodeRuneInString(word)
		}
		if slash := strings.LastIndexByte(word[:min(n+1, len(word))], '/'); slash > 0 {
			n = slash
		}
		all = append(all, word[:n])
		word = word[n:]
	}
	if word != "" {
		all = append(all, word)
	}
	return all
}
