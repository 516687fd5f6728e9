package memlimit

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Read returns the limit in bytes, or 0 if it is unknown, as on systems other than Linux. root
// is the root of the file system, os.DirFS("/").
func Read(root fs.FS) int64 {
	limit := total(root)
	for line := range strings.Lines(content(root, "proc/self/cgroup")) {
		mount, file, group, ok := memoryGroup(strings.TrimSpace(line))
		if !ok {
			continue
		}
		// The limits of the parents apply too. In a container without a namespace of its own
		// for control groups the path is that of the host and the mount is its last part.
		for ; ; group = path.Dir(group) {
			limit = smaller(limit, number(content(root, path.Join(mount, group, file))))
			if group == "/" {
				break
			}
		}
	}
	return limit
}

// memoryGroup returns where the limit of a control group is: the mount of its hierarchy, the
// name of the file, and the path of the group. ok is false for hierarchies that do not limit
// memory. The line is ID:CONTROLLERS:PATH, without controllers in version 2 (cgroups(7)).
func memoryGroup(line string) (mount, file, group string, ok bool) {
	_, rest, _ := strings.Cut(line, ":")
	controllers, group, found := strings.Cut(rest, ":")
	group = path.Clean("/" + group)
	switch {
	case !found:
		return "", "", "", false
	case controllers == "":
		return "sys/fs/cgroup", "memory.max", group, true
	case strings.Contains(","+controllers+",", ",memory,"):
		return "sys/fs/cgroup/memory", "memory.limit_in_bytes", group, true
	}
	return "", "", "", false
}

// total returns the memory of the machine, or 0.
func total(root fs.FS) int64 {
	for line := range strings.Lines(content(root, "proc/meminfo")) {
		if kib, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			return number(strings.TrimSuffix(strings.TrimSpace(kib), " kB")) << 10
		}
	}
	return 0
}

// smaller returns the smaller of two limits. 0 is none.
func smaller(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// number returns the positive number in text, or 0, also for "max".
func number(text string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 54) // 54 bits: as KiB it still fits
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// content returns the text of a file, or "".
func content(root fs.FS, name string) string {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}
	return string(text)
}
