package config

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// LogSubsystems are the subsystems that may have their own log level. Subsystems of
// libp2p have names such as libp2p/swarm2.
var LogSubsystems = []string{"daemon", "node", "rpc", "storage", "api", "web", "routing", "libp2p"}

// CheckSubsystem returns an error for an unknown subsystem.
func CheckSubsystem(name string) error {
	above, _, _ := strings.Cut(name, "/")
	if slices.Contains(LogSubsystems, name) || above == "libp2p" {
		return nil
	}
	return fmt.Errorf("%q is not a subsystem; they are %s, and libp2p/NAME", name, strings.Join(LogSubsystems, ", "))
}

// ParseLevels parses log.level: "info" or "info,node=debug,libp2p=warn". The root level
// is info if text does not set it.
func ParseLevels(text string) (root slog.Level, subsystems map[string]slog.Level, err error) {
	subsystems = map[string]slog.Level{}
	for item := range strings.SplitSeq(text, ",") {
		name, value, named := strings.Cut(strings.TrimSpace(item), "=")
		if !named {
			value = name
		}
		level, err := ParseLevel(value)
		if err != nil {
			return 0, nil, err
		}
		if named {
			if err := CheckSubsystem(name); err != nil {
				return 0, nil, err
			}
			subsystems[name] = level
		} else {
			root = level
		}
	}
	return root, subsystems, nil
}

// ParseLevel parses one level: debug, info, warn or error.
func ParseLevel(text string) (slog.Level, error) {
	switch strings.ToLower(text) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn", "warning":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("%q is not a level; levels are debug, info, warn and error", text)
}
