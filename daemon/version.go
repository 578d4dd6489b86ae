package daemon

import (
	"runtime"
	"runtime/debug"

	"weir/dlp"
)

// release is set by the build: -ldflags "-X weir/daemon.release=...".
var release = "dev"

// BuildVersions are Weir's version, and those of what it was built with.
type BuildVersions struct {
	Weir      string `json:"version"`
	Go        string `json:"go"`
	Hyperscan string `json:"hyperscan"`
}

// Version returns Weir's version, with those of what it was built with.
func Version() string {
	v := Versions()
	return v.Weir + " (" + v.Go + ", Hyperscan " + v.Hyperscan + ")"
}

// Versions is Version for programs.
func Versions() BuildVersions {
	v := release
	if info, ok := debug.ReadBuildInfo(); ok && v == "dev" {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				v = s.Value[:12]
			}
		}
	}
	return BuildVersions{v, runtime.Version(), dlp.HyperscanVersion()}
}
