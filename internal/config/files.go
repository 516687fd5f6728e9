package config

import "path/filepath"

// checkFiles returns a violation for each relative path of the configuration file. The
// daemon and each command would resolve it against its own working directory.
func (l *Loaded) checkFiles() Violations {
	var v checks
	for _, k := range keys {
		if path, ok := k.Raw(&l.Config).(string); ok && isFile(k.Unit) && l.Origin(k.Path()).Source == "file" {
			v.require(path == "" || filepath.IsAbs(path), k.Path(), is(path), "write an absolute path: a relative one depends on the directory in which a command runs")
		}
	}
	return v.found
}

// isFile reports whether the values of a unit are names of files.
func isFile(unit string) bool { return unit == "path" || unit == "directory" }
