package daemon

import (
	"runtime"
	"runtime/debug"
)

// Version of the program, set by the linker for a release:
//
//	-ldflags "-X github.com/holdfast-dht/holdfast/internal/daemon.Version=v1.2.3"
var Version = "0.1.0-dev"

// Revision of the source, set by the linker where it is not built from a checkout.
var Revision = ""

// Build describes the running program.
type Build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the source, if known
	Dirty    bool   `json:"dirty,omitempty"`    // built with uncommitted changes
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// BuildInfo returns the build of the running program.
func BuildInfo() Build {
	b := Build{Version: Version, Revision: Revision, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value // it overrides the linker's value
		case "vcs.modified":
			b.Dirty = s.Value == "true"
		}
	}
	return b
}

// Agent returns the agent string that the node sends to peers.
func Agent() string { return "holdfast/" + Version }
