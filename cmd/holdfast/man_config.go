package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/holdfast-dht/holdfast/internal/config"
)

// configManual returns holdfast.toml(5), generated from the descriptions in config.toml.
func configManual(date time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH \"HOLDFAST.TOML\" \"5\" \"%s\" \"%s\" \"%s\"\n", date.Format("Jan 2006"), manSource(), manName)
	b.WriteString(configIntro)
	section := ""
	defaults := config.Default()
	for _, k := range config.Keys() {
		if k.Section != section {
			section = k.Section
			fmt.Fprintf(&b, ".SS [%s]\n%s\n", section, roff(k.SectionDoc()))
		}
		fmt.Fprintf(&b, ".TP\n\\fB%s\\fP = %s\n%s\n", roff(k.Name), roff(oneLine(k.Value(&defaults))), roff(k.Doc))
		if k.Example != "" {
			fmt.Fprintf(&b, ".nf\nExample: %s = %s\n.fi\n", roff(k.Name), roff(k.Example))
		}
		if notes := keyNotes(k); notes != "" {
			fmt.Fprintf(&b, ".br\n%s\n", roff(notes))
		}
	}
	b.WriteString(configOutro)
	return b.String()
}

// keyNotes returns the other ways to set a key, and whether a reload applies it.
func keyNotes(k config.Key) string {
	var notes []string
	if k.Env() != "" {
		notes = append(notes, "Environment: "+k.Env()+".")
	}
	if k.Reload {
		notes = append(notes, "A reload applies it.")
	}
	return strings.Join(notes, " ")
}

// oneLine puts a TOML list on one line.
func oneLine(value string) string {
	return strings.NewReplacer("[ ", "[", ", ]", "]").Replace(strings.Join(strings.Fields(value), " "))
}

// roff escapes text for a manual page (groff_man(7)).
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}

// configIntro is the page up to the settings. It turns hyphenation off, so that names can
// be copied.
const configIntro = `.nh
.ad l
.SH NAME
holdfast.toml \- configuration of the Holdfast DHT node

.SH SYNOPSIS
.nf
\fI/etc/holdfast/config.toml\fP
\fI~/.config/holdfast/config.toml\fP
.fi

.SH DESCRIPTION
A TOML file with the settings of \fBholdfast\fP(1). Every key has a default; a file needs
only those that differ. \fBholdfast config default\fP prints a file with all of them,
\fBholdfast config validate\fP checks one, and \fBholdfast config print \-\-origin\fP shows
the effective settings and where each comes from.
.PP
The environment overrides the file, and flags override both. The file is the one that
\fB\-\-config\fP or \fB$HOLDFAST_CONFIG\fP names, or the first of the two above that exists.
.PP
SIGHUP, or \fBsystemctl reload holdfast\fP, applies changes of the keys that say so; the others
need a restart. An invalid file changes nothing.
.PP
Durations are written "22h" or "1m30s", sizes "512MiB" or "1GB". In the environment the items
of a list are separated by commas.

.SH SETTINGS
`

const configOutro = `
.SH EXAMPLES
A private network that accepts any value under /example/:
.PP
.EX
[network]
protocol_prefix = "/mynet"
bootstrap = ["/ip4/192.0.2.1/tcp/4011/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"]

[values]
unvalidated_namespaces = ["example"]
.EE

.SH SEE ALSO
\fBholdfast(1)\fP, \fBholdfast-serve(1)\fP, \fBholdfast-config(1)\fP
`
