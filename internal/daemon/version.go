package daemon

import (
	"runtime"
	"runtime/debug"
)

// What the linker sets for a release (deploy/release/build):
//
//	-ldflags "-X github.com/holdfast-dht/holdfast/internal/daemon.linkedVersion=v1.2.3"
var (
	linkedVersion  string // of the program
	linkedRevision string // of the source
	linkedDate     string // of the revision, RFC 3339
)

// devVersion is the version of a build that is neither a release nor installed as a module. It
// has no number, because it comes before or after any release.
const devVersion = "devel"

// Build describes the running program.
type Build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the source, if known
	Date     string `json:"date,omitempty"`     // of the revision, RFC 3339, if known
	Dirty    bool   `json:"dirty,omitempty"`    // built with uncommitted changes
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// BuildInfo returns the build of the running program.
func BuildInfo() Build {
	info, _ := debug.ReadBuildInfo()
	return describe(info)
}

// describe combines what the linker and the Go command have stored in the program. info
// may be nil. A checkout's revision and date override those of the linker.
func describe(info *debug.BuildInfo) Build {
	b := Build{
		Version: linkedVersion, Revision: linkedRevision, Date: linkedDate,
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	var checkout bool
	if info != nil {
		checkout = b.fromCheckout(info.Settings)
	}
	if b.Version == "" {
		b.Version = moduleVersion(info, checkout)
	}
	return b
}

// fromCheckout takes the revision of the checkout that the program was built in, and
// reports whether there was one.
func (b *Build) fromCheckout(settings []debug.BuildSetting) (checkout bool) {
	for _, s := range settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision, checkout = s.Value, true
		case "vcs.time":
			b.Date = s.Value
		case "vcs.modified":
			b.Dirty = s.Value == "true"
		}
	}
	return checkout
}

// moduleVersion returns the version that `go install .../cmd/holdfast@VERSION` installed.
// The Go command gives a checkout a long pseudo-version, which repeats its revision.
func moduleVersion(info *debug.BuildInfo, checkout bool) string {
	if info == nil || checkout || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return devVersion
	}
	return info.Main.Version
}

// program returns what the database stores about the program that wrote it.
func program() string { return "holdfast " + BuildInfo().Version }

// Agent returns the agent string that the node sends to peers.
func Agent() string { return "holdfast/" + BuildInfo().Version }
