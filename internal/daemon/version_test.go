package daemon

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBuild(t *testing.T) {
	checkout := []debug.BuildSetting{
		{Key: "vcs", Value: "git"},
		{Key: "vcs.revision", Value: "abc"},
		{Key: "vcs.time", Value: "2026-11-30T10:00:00Z"},
		{Key: "vcs.modified", Value: "true"},
	}
	module := func(version string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: version}, Settings: settings}
	}
	linked := Build{Version: "v1.2.3", Revision: "cafe", Date: "2026-01-02T03:04:05Z"}
	for name, c := range map[string]struct {
		linked Build
		info   *debug.BuildInfo
		want   Build
	}{
		"a release":               {linked, module("(devel)"), linked},
		"no build info":           {Build{}, nil, Build{Version: devVersion}},
		"go install of a version": {Build{}, module("v1.2.3"), Build{Version: "v1.2.3"}},
		"go build outside of git": {Build{}, module("(devel)"), Build{Version: devVersion}},
		"a test binary":           {Build{}, module(""), Build{Version: devVersion}},
		"a checkout":              {Build{}, module("v0.0.0-20261130100000-abc+dirty", checkout...), Build{Version: devVersion, Revision: "abc", Date: "2026-11-30T10:00:00Z", Dirty: true}},
		"a release in a checkout": {linked, module("v1.2.3", checkout...), Build{Version: "v1.2.3", Revision: "abc", Date: "2026-11-30T10:00:00Z", Dirty: true}},
		"a version over a module": {Build{Version: "v1.2.4"}, module("v1.2.3"), Build{Version: "v1.2.4"}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() { linkedVersion, linkedRevision, linkedDate = "", "", "" }()
			linkedVersion, linkedRevision, linkedDate = c.linked.Version, c.linked.Revision, c.linked.Date
			got := describe(c.info)
			require.NotEmpty(t, got.Go)
			require.Contains(t, got.Platform, "/")
			got.Go, got.Platform = "", ""
			require.Equal(t, c.want, got)
		})
	}
}

// The version is known everywhere in a program that is not a release, too.
func TestVersionIsKnown(t *testing.T) {
	want := BuildInfo().Version
	require.NotEmpty(t, want)
	require.NotRegexp(t, `\d`, devVersion, "the next release would make a number wrong")
	require.Equal(t, "holdfast/"+want, Agent())
	d := start(t, t.TempDir())
	s, err := d.Backend().Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, s.Version)
	require.Equal(t, want, d.starts.Last[0].Version)
}
