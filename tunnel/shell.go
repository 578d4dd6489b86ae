package tunnel

import (
	"bytes"

	"weir/wire"
)

// Ours.
const (
	shellLine = 96 // bytes of a line that are remembered, from its beginning; of a longer one its end is too
	shellTail = 24 // bytes of its end
)

// ShellSize is the bytes that a Shell is counted for.
const ShellSize = 288

// Shell is what is remembered of a flow in clear text that may be a shell's.
type Shell struct {
	line     [2][shellLine]byte
	tail     [2][shellTail]byte
	n        [2]int // bytes of the line under way
	commands [2]uint8
	prompts  [2]uint8
	outputs  [2]uint8
	banners  [2]uint8
	ids      [2]uint8 // lines as `id` writes them
	last     wire.Dir
	begun    bool
}

// Odd reports whether something was seen that shells say: then what comes later matters.
func (s *Shell) Odd() bool {
	for dir := range wire.Dir(2) {
		if s.prompts[dir]|s.outputs[dir]|s.banners[dir]|s.ids[dir] != 0 {
			return true
		}
	}
	return false
}

// take looks at bytes of a direction.
func (s *Shell) take(dir wire.Dir, data []byte) {
	if s.begun && dir != s.last {
		s.paused(s.last)
	}
	s.begun, s.last = true, dir
	for len(data) > 0 {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			s.append(dir, data)
			return
		}
		s.append(dir, data[:i])
		s.ended(dir)
		data = data[i+1:]
	}
}

func (s *Shell) append(dir wire.Dir, b []byte) {
	if n := s.n[dir]; n < shellLine {
		copy(s.line[dir][n:], b)
	}
	if len(b) >= shellTail {
		copy(s.tail[dir][:], b[len(b)-shellTail:])
	} else {
		copy(s.tail[dir][:], s.tail[dir][len(b):])
		copy(s.tail[dir][shellTail-len(b):], b)
	}
	s.n[dir] += len(b)
}

// end returns the last bytes of the line under way.
func (s *Shell) end(dir wire.Dir) []byte {
	if n := s.n[dir]; n < shellTail {
		return s.tail[dir][shellTail-n:]
	}
	return s.tail[dir][:]
}

// paused is called when the other direction speaks: what stands there without an end may be a prompt.
func (s *Shell) paused(dir wire.Dir) {
	if isPrompt(s.end(dir), s.n[dir]) {
		more(&s.prompts[dir])
	}
	s.n[dir] = 0
}

// ended is called at the end of a line.
func (s *Shell) ended(dir wire.Dir) {
	line := s.line[dir][:min(s.n[dir], shellLine)]
	whole := s.n[dir] <= shellLine
	s.n[dir] = 0
	line = bytes.TrimRight(line, "\r")
	switch {
	case isBanner(line):
		more(&s.banners[dir])
	case isID(line):
		more(&s.ids[dir])
	case isOutput(line):
		more(&s.outputs[dir])
	case whole && isCommand(line):
		more(&s.commands[dir])
	}
}

func more(n *uint8) { *n = min(*n, 254) + 1 }

// judge weighs what is known: commands from one side, and what a shell says from the other.
func (s *Shell) judge() (Verdict, bool) {
	for dir := range wire.Dir(2) { // the shell's
		var p points
		other := dir.Other()
		if s.banners[dir] > 0 {
			p.add(60, "what a shell says when it has no terminal, or when it begins")
		}
		switch n := s.prompts[dir]; {
		case n >= 2:
			p.add(40, "prompts of a shell")
		case n == 1:
			p.add(25, "a prompt of a shell")
		}
		if s.ids[dir] > 0 {
			p.add(40, "the ids of a user, as a command writes them")
		}
		if s.outputs[dir] > 0 {
			p.add(30, "what commands write")
		}
		if p.score == 0 {
			continue
		}
		switch n := s.commands[other]; {
		case n >= 2:
			p.add(30, "commands from the other side")
		case n == 1:
			p.add(20, "a command from the other side")
		default:
			continue // nobody commands it
		}
		if dir == wire.ToServer {
			p.add(10, "the shell is the end that connected: a reverse shell")
		} else {
			p.add(0, "the shell is the end that listens: a bind shell")
		}
		if v, ok := p.verdict(KindShell); ok {
			return v, true
		}
	}
	return Verdict{}, false
}

// isPrompt reports whether the end of a line of n bytes is a shell's prompt.
func isPrompt(end []byte, n int) bool {
	if len(end) < 2 || n > 512 {
		return false
	}
	if n == 2 {
		return string(end) == "$ " || string(end) == "# "
	}
	switch {
	case bytes.HasSuffix(end, []byte("$ ")), bytes.HasSuffix(end, []byte("# ")), bytes.HasSuffix(end, []byte("% ")):
		head := end[:len(end)-2]
		if version := bytes.LastIndexByte(head, '-'); version >= 0 { // bash-5.1$, sh-5.2#
			if name := head[:version]; bytes.HasSuffix(name, []byte("bash")) || bytes.HasSuffix(name, []byte("sh")) {
				return true
			}
		}
		return bytes.IndexByte(head, '@') >= 0 && bytes.IndexByte(head, ':') >= 0 || bytes.HasPrefix(head, []byte("/")) || bytes.HasSuffix(head, []byte("~")) // user@host:/dir$
	case bytes.HasSuffix(end, []byte(">")), bytes.HasSuffix(end, []byte("> ")):
		return bytes.Contains(end, []byte(`:\`)) // C:\Windows>, PS C:\>
	}
	return false
}

func isBanner(line []byte) bool {
	for _, s := range banners {
		if bytes.Contains(line, s) {
			return true
		}
	}
	return false
}

var banners = [][]byte{
	[]byte("no job control in this shell"), []byte("can't access tty; job control turned off"), []byte("cannot set terminal process group"),
	[]byte("Microsoft Windows [Version "), []byte("Windows PowerShell"),
}

func isID(line []byte) bool {
	return bytes.HasPrefix(line, []byte("uid=")) && bytes.Contains(line, []byte(") gid=")) || bytes.HasPrefix(line, []byte("root:x:0:0:"))
}

func isOutput(line []byte) bool {
	for _, s := range outputStarts {
		if bytes.HasPrefix(line, s) {
			return true
		}
	}
	for _, s := range outputEnds {
		if bytes.HasSuffix(line, s) {
			return true
		}
	}
	return false
}

var (
	outputStarts = [][]byte{[]byte("drwx"), []byte("-rw-"), []byte("-rwx"), []byte("lrwx"), []byte("Linux "), []byte("bash: "), []byte("sh: "), []byte("/bin/sh: "),
		[]byte("total "), []byte(" Volume Serial Number"), []byte(" Directory of ")}
	outputEnds = [][]byte{[]byte(": command not found"), []byte(": not found"), []byte(": No such file or directory"), []byte(": Permission denied"),
		[]byte("is not recognized as an internal or external command,")}
)

// isCommand reports whether a line begins with a command that people type into a shell that they came by.
func isCommand(line []byte) bool {
	line = bytes.TrimLeft(line, " ")
	for _, c := range line {
		if (c < ' ' || c > '~') && c != '\t' {
			return false
		}
	}
	word := line
	if i := bytes.IndexAny(line, " ;|&>"); i >= 0 {
		word = line[:i]
	}
	if i := bytes.LastIndexByte(word, '/'); i >= 0 { // /bin/sh
		word = word[i+1:]
	}
	return commands[string(word)]
}

var commands = map[string]bool{
	"id": true, "whoami": true, "uname": true, "ls": true, "cat": true, "pwd": true, "cd": true, "ps": true, "ifconfig": true, "ip": true, "netstat": true,
	"ss": true, "hostname": true, "wget": true, "curl": true, "python": true, "python3": true, "perl": true, "bash": true, "sh": true, "export": true,
	"sudo": true, "su": true, "chmod": true, "find": true, "grep": true, "env": true, "printenv": true, "mount": true, "df": true, "w": true, "who": true,
	"last": true, "history": true, "crontab": true, "echo": true, "stty": true, "script": true, "kubectl": true, "docker": true, "crictl": true, "nsenter": true,
	"ipconfig": true, "dir": true, "systeminfo": true, "tasklist": true, "ver": true, "net": true, "powershell": true, "cmd": true, "type": true, "exit": true,
}
