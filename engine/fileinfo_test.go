package engine

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"fmt"
	"strings"
	"testing"

	"weir/alert"
	"weir/rules"
	"weir/wire"
)

// filesOf plays what two ends of a connection say in turn, the client first, and returns what was told of files.
func filesOf(t *testing.T, said ...string) (out []string) {
	t.Helper()
	k := newTalk(t, &rules.Rule{ID: "token", Regex: `FILETOKEN-[0-9]{6}`, Severity: rules.High})
	e := k.lane.e
	e.cfg.Events = map[string]bool{"fileinfo": true}
	e.cfg.Emit = func(ev *alert.Event) {
		if ev.App == nil {
			t.Errorf("%+v: the exchange is not told", ev.File)
		}
		f := ev.File
		out = append(out, fmt.Sprintf("%s>%s %s %d %s %v %d", ev.Src.Addr(), ev.Dst.Addr(), f.Name, f.Size, f.State, f.Gaps, f.TxID))
	}
	e.files = true
	e.SetRules(e.rules.Load().db)
	for i, s := range said {
		k.say(wire.Dir(i%2), 0x18, s)
	}
	k.say(wire.ToServer, 0x11, "")
	k.lane.Close(k.tap)
	return out
}

// TestFilesOfAnother has HTTP speak out of turn while an exchange of SOCKS is open: that one does not get what is HTTP's.
func TestFilesOfAnother(t *testing.T) {
	k := newTalk(t, &rules.Rule{ID: "token", Regex: `FILETOKEN-[0-9]{6}`, Severity: rules.High})
	k.lane.OnPanic = func(what string) { t.Error(what) }
	e := k.lane.e
	e.cfg.Emit = func(ev *alert.Event) {
		if app := ev.App; ev.File != nil && app != nil && app.Name != "http" {
			t.Errorf("a file in an exchange of %s: %+v", app.Name, ev.File)
		}
	}
	e.files = true
	for i, s := range []string{"\x05\x02\x00\x02", "\x05\x02", "\x01\x05alice\x04pass", "\x01\x00", "", "HTTP/1.1 204 No Content\r\n\r\n",
		"\x05\x01\x00\x03\x01a\x00P", "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"} {
		if s != "" {
			k.say(wire.Dir(i%2), 0x18, s)
		}
	}
	k.say(wire.ToServer, 0x11, "")
	k.lane.Close(k.tap)
}

// zipOf makes an archive of names and what stands under them.
func zipOf(t *testing.T, files ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		f, err := w.Create(files[i])
		if err == nil {
			_, err = f.Write([]byte(files[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	return b.String()
}

func tarOf(t *testing.T, name, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Mode: 0o600}); err != nil {
		t.Fatal(err)
	}
	w.Write([]byte(text))
	w.Close()
	return b.String()
}

func TestFiles(t *testing.T) {
	get := "GET /a/b.txt?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"
	post := func(parts string) string {
		return fmt.Sprintf("POST /up HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=xx\r\nContent-Length: %d\r\n\r\n%s", len(parts), parts)
	}
	part := func(name, content string) string {
		return "--xx\r\nContent-Disposition: form-data; name=f; filename=\"" + name + "\"\r\n\r\n" + content + "\r\n"
	}
	const none = "HTTP/1.1 204 No Content\r\n\r\n"
	const up, down = "10.0.0.1>10.0.0.2 ", "10.0.0.2>10.0.0.1 "
	many, names := "", []string(nil)
	for i := range maxFiles {
		many += part(fmt.Sprint(i), "x")
		names = append(names, fmt.Sprintf("%s%d 1 CLOSED false 1", up, i))
	}
	body := func(b string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(b), b)
	}
	archive := zipOf(t, "notes/", "", "notes/one.txt", strings.Repeat("some text\n", 30), "in.tar", tarOf(t, "FILETOKEN-123456.txt", strings.Repeat("FILETOKEN-123456 then", 10)[:200]), "empty", "")
	document := zipOf(t, "[Content_Types].xml", strings.Repeat("<x/>", 50), "word/document.xml", strings.Repeat("<x/>", 50))
	for _, c := range []struct {
		name string
		said []string
		want []string
	}{
		{"the path is the name", []string{get, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"}, []string{down + "/a/b.txt 5 CLOSED false 1"}},
		{"an empty body is none", []string{get, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}, nil},
		{"bytes that are no message's are none", []string{get, "stray\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"}, []string{down + "/a/b.txt 5 CLOSED false 1"}},
		{"cut short", []string{get, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"}, []string{down + "/a/b.txt 5 TRUNCATED false 1"}},
		{"a name of its own, found in", []string{get, "HTTP/1.1 200 OK\r\nContent-Disposition: attachment; filename=\"FILETOKEN-123456.txt\"\r\nContent-Length: 5\r\n\r\nhello"},
			[]string{down + "FILE…(16).txt 5 CLOSED false 1"}},
		{"a path, found in", []string{"GET /FILETOKEN-123456 HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
			[]string{down + "/FILE…(16) 5 CLOSED false 1"}},
		{"an encoded path, found in", []string{"GET /FILE%54OKEN-123456 HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
			[]string{down + string(hiddenText) + " 5 CLOSED false 1"}},
		{"parts of a form", []string{post(part("a.txt", "one\r\ntwo") + part("b", "") + "--xx--"), none}, []string{up + "a.txt 8 CLOSED false 1", up + "b 0 CLOSED false 1"}},
		{"a part cut short", []string{strings.TrimSuffix(post(part("a.txt", "one")+part("b", "two")+"--xx--"), "\r\n--xx--"), ""},
			[]string{up + "a.txt 3 CLOSED false 1", up + "b 3 TRUNCATED false 1"}},
		{"an archive, and one in it", []string{get, body(archive)},
			[]string{down + "/a/b.txt " + fmt.Sprint(len(archive)) + " CLOSED false 1", down + "/a/b.txt/notes/one.txt 300 CLOSED false 1", down + "/a/b.txt/in.tar/FILE…(16).txt 200 CLOSED false 1",
				down + "/a/b.txt/in.tar 2048 CLOSED false 1", down + "/a/b.txt/empty 0 CLOSED false 1"}},
		{"a document is no archive", []string{get, body(document)}, []string{down + "/a/b.txt " + fmt.Sprint(len(document)) + " CLOSED false 1"}},
		{"as many as are kept, and the form itself", []string{post(many + "--xx--"), none}, names},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := filesOf(t, c.said...)
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}
