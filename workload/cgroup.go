package workload

import (
	"bufio"
	"bytes"
	"strings"
)

// From the specifications: container ids as the OCI runtimes' callers make them, RFC 9562 section 4.
const (
	idLen        = 64 // hexadecimal digits of a container's id
	uidLen       = 36 // characters of a pod's unique id
	staticUIDLen = 32 // hexadecimal digits of a static pod's
)

// fromCgroup takes the container's id, the pod's unique id and the runtime's mark from the text of /proc/PID/cgroup;
// empty if there are none. The unified hierarchy's line decides if it has an id; nested containers name the outer one
// first, so the last id of a line is the one.
func fromCgroup(text []byte) (p process) {
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		_, rest, _ := strings.Cut(s.Text(), ":")
		controllers, dir, ok := strings.Cut(rest, ":")
		if !ok {
			continue
		}
		if id, mark := lastID(dir); id != "" && (p.id == "" || controllers == "") {
			p = process{id: id, podUID: lastPodUID(dir), mark: mark}
		}
	}
	return p
}

// marks are what runtimes put before an id, as in docker-ID.scope, or call the folder above it. With the wrong driver of
// cgroups configured, colons stand in the place of dashes.
var marks = []string{"docker", "libpod", "crio", "cri-containerd"}

// lastID returns the last run of exactly 64 hexadecimal digits, and whose mark it bears.
func lastID(s string) (id, mark string) {
	for end := len(s); end >= idLen; {
		if !hexDigit(s[end-1]) {
			end--
			continue
		}
		start := end
		for start > 0 && hexDigit(s[start-1]) {
			start--
		}
		if end-start == idLen {
			return s[start:end], markOf(s[:start])
		}
		end = start
	}
	return "", ""
}

// markOf returns the mark at the end of what stands before an id.
func markOf(before string) string {
	for _, m := range marks {
		if strings.HasSuffix(before, "/"+m+"-") || strings.HasSuffix(before, "/"+m+"/") || strings.HasSuffix(before, ":"+m+":") {
			return m
		}
	}
	return ""
}

// lastPodUID returns the unique id behind the last "pod" that has one; systemd's names write its dashes as underscores.
// A pod that comes from a file on the node has 32 digits without dashes, and those are returned.
func lastPodUID(s string) string {
	for {
		i := strings.LastIndex(s, "pod")
		if i < 0 {
			return ""
		}
		rest := s[i+len("pod"):]
		if len(rest) >= uidLen {
			if uid := strings.ReplaceAll(rest[:uidLen], "_", "-"); isUID(uid) {
				return uid
			}
		}
		if n := strings.IndexFunc(rest, func(r rune) bool { return r > 'f' || !hexDigit(byte(r)) }); n == staticUIDLen || n < 0 && len(rest) == staticUIDLen {
			return rest[:staticUIDLen]
		}
		s = s[:i]
	}
}

func isUID(s string) bool {
	for i := range len(s) {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (s[i] == '-') || !dash && !hexDigit(s[i]) {
			return false
		}
	}
	return true
}

func hexDigit(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' }
