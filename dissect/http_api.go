package dissect

import "bytes"

// apiCall is a request of one of the interfaces that run containers, or that hand out what those may do.
type apiCall struct {
	name      string // "docker", "kubelet", "kubernetes", "cri", "containerd"
	operation string // as "exec"; "" if nothing is known of it
	exec      bool   // a command is run in a container, or somebody is let into it
	creates   bool   // the body describes a container
}

// containerAPI tells what a path is a call of: Docker's and Podman's API, the kubelet's, that of Kubernetes, CRI's and containerd's. ok is false if of
// none.
func containerAPI(method, path, query []byte) (a apiCall, ok bool) {
	if len(path) < 2 || path[0] != '/' {
		return a, false
	}
	first, _, _ := bytes.Cut(path[1:], []byte("/"))
	switch string(first) {
	case "api", "apis":
		return kubernetesCall(method, path)
	case "containers":
		return dockerCall(path)
	case "exec":
		if a, ok = dockerCall(path); ok {
			return a, true
		}
		return kubeletCall("exec", path, query)
	case "attach":
		return kubeletCall("attach", path, query)
	case "run":
		return kubeletCall("run", path, query)
	case "portForward":
		return kubeletCall("portForward", path, query)
	case "containerLogs":
		return kubeletCall("containerLogs", path, query)
	case "runningpods":
		return kubeletCall("runningpods", path, query)
	}
	switch {
	case len(first) > 2 && first[0] == 'v' && isDigit(first[1]):
		return dockerCall(path)
	case bytes.HasPrefix(first, []byte("runtime.v1")), bytes.HasPrefix(first, []byte("containerd.")):
		return grpcContainerCall(path)
	}
	return a, false
}

// segments cuts a path at its slashes. It returns how many pieces there are, of which the first are in out.
func segments(path []byte, out *[8][]byte) int {
	n := 0
	for rest, more := bytes.Trim(path, "/"), true; more; n++ {
		var piece []byte
		piece, rest, more = bytes.Cut(rest, []byte("/"))
		if n < len(out) {
			out[n] = piece
		}
	}
	return n
}

// dockerCall takes /v1.43/containers/..., and without a version what is hardly anything else.
func dockerCall(path []byte) (a apiCall, ok bool) {
	var seg [8][]byte
	n := segments(path, &seg)
	at, versioned := seg[:], false
	if v, is := bytes.CutPrefix(at[0], []byte("v")); is && len(v) > 2 && len(bytes.Trim(v, "0123456789.")) == 0 {
		at, versioned, n = at[1:], true, n-1
	}
	if string(at[0]) == "libpod" && versioned { // Podman's own
		at, n = at[1:], n-1
	}
	a.name = "docker"
	switch last := at[min(max(n, 1), len(at))-1]; {
	case n == 2 && string(at[0]) == "containers" && string(at[1]) == "create":
		a.operation, a.creates = "create", true
	case n == 3 && string(at[0]) == "containers":
		switch string(last) {
		case "exec", "attach":
			a.operation, a.exec = string(last), true
		case "start", "stop", "kill", "restart", "archive", "export", "logs", "json", "top", "update":
			a.operation = string(last)
		}
		ok = versioned || a.exec
		return a, ok
	case n == 3 && string(at[0]) == "exec" && (string(last) == "start" || string(last) == "resize" || string(last) == "json"):
		a.operation, a.exec = "exec "+string(last), string(last) == "start"
	case versioned && n >= 2 && (string(at[0]) == "containers" || string(at[0]) == "exec"):
	default:
		return a, false
	}
	return a, true
}

// kubeletCall takes what a kubelet serves: /exec/NAMESPACE/POD/CONTAINER?command=...
func kubeletCall(operation string, path, query []byte) (a apiCall, ok bool) {
	var seg [8][]byte
	n := segments(path, &seg)
	a = apiCall{name: "kubelet", operation: operation}
	switch a.operation {
	case "exec", "attach":
		a.exec = true
		ok = n >= 4 && n <= 5 && (bytes.Contains(query, []byte("command=")) || bytes.Contains(query, []byte("output=")) || bytes.Contains(query, []byte("input=")))
	case "run":
		a.exec = true
		ok = n >= 4 && n <= 5 && bytes.Contains(query, []byte("cmd="))
	case "portForward":
		ok = n >= 3 && n <= 4
	case "containerLogs":
		ok = n == 4
	case "runningpods":
		ok = n == 1
	}
	return a, ok
}

// kubernetesCall takes what the API server serves: /api/v1/namespaces/NAMESPACE/pods/POD/exec.
func kubernetesCall(method, path []byte) (a apiCall, ok bool) {
	var seg [8][]byte
	n := segments(path, &seg)
	at := seg[:]
	switch {
	case string(at[0]) == "api" && string(at[1]) == "v1" && n > 2:
		at, n = at[2:], n-2
		if string(at[0]) != "namespaces" && !coreResource(at[0]) {
			return a, false // many have an api/v1
		}
	case string(at[0]) == "apis" && n > 3 && kubernetesGroup(at[1]) && len(at[2]) > 1 && at[2][0] == 'v' && isDigit(at[2][1]):
		at, n = at[3:], n-3
	default:
		return a, false
	}
	if string(at[0]) == "namespaces" && n > 2 {
		at, n = at[2:], n-2
	}
	if n > 3 || len(at[0]) == 0 {
		return a, false
	}
	a.name = "kubernetes"
	resource := string(at[0])
	if n == 3 {
		switch sub := string(at[2]); sub {
		case "exec", "attach", "portforward":
			a.operation, a.exec = sub+" "+resource, sub != "portforward"
			return a, true
		default:
			resource += "/" + sub
		}
	}
	a.operation = string(kubernetesVerb(method, n)) + " " + resource
	a.creates = string(method) != "GET" && string(method) != "DELETE"
	return a, true
}

// coreResource reports whether a resource of the core group is asked for, of all namespaces. Those that other interfaces have too are left out.
func coreResource(name []byte) bool {
	switch string(name) {
	case "pods", "secrets", "nodes", "configmaps", "serviceaccounts", "persistentvolumes", "persistentvolumeclaims", "replicationcontrollers", "componentstatuses":
		return true
	}
	return false
}

func kubernetesGroup(name []byte) bool {
	switch string(name) {
	case "apps", "batch", "autoscaling", "policy", "extensions":
		return true
	}
	return bytes.HasSuffix(name, []byte(".k8s.io"))
}

func kubernetesVerb(method []byte, n int) string {
	switch string(method) {
	case "GET", "HEAD":
		if n == 1 {
			return "list"
		}
		return "get"
	case "POST":
		return "create"
	case "PUT":
		return "update"
	case "PATCH":
		return "patch"
	case "DELETE":
		return "delete"
	}
	return "call"
}

// grpcContainerCall takes what container runtimes serve over gRPC.
func grpcContainerCall(path []byte) (a apiCall, ok bool) {
	service, method, ok := bytes.Cut(path[1:], []byte("/"))
	switch {
	case !ok:
	case bytes.HasPrefix(service, []byte("runtime.v1")) && bytes.HasSuffix(service, []byte("RuntimeService")):
		a.name = "cri"
	case bytes.HasPrefix(service, []byte("containerd.")):
		a.name = "containerd"
	}
	if a.name == "" {
		return a, false
	}
	a.operation = string(method)
	switch a.operation {
	case "Exec", "ExecSync", "Attach":
		a.exec = true
	}
	return a, true
}

// api tells what is known of a call.
func (h *http) api(s *httpSide, a apiCall) {
	h.note(s, noteContainerAPI)
	if a.exec {
		h.note(s, noteContainerExec)
	}
	s.frame.creates = a.creates
	h.addText(s, httpAPI, a.name)
	if a.operation != "" {
		h.addText(s, httpAPIOperation, a.operation)
	}
}

// addText collects a value that is no part of the input.
func (h *http) addText(s *httpSide, f Field, text string) {
	if h.x.wants(f) {
		at := len(h.x.text)
		h.x.text = append(h.x.text, text...)
		h.add(s, f, h.x.text[at:len(h.x.text):len(h.x.text)])
	}
}

const privilegedKey = `"privileged"` // JSON's key, which is read in any case

// privileged looks for a member "privileged" that is true in a body that describes a container, as it comes.
func (h *http) privileged(s *httpSide, b []byte) {
	const colon = len(privilegedKey)
	n := int(s.frame.privileged)
	for _, c := range b {
		switch {
		case n < colon && lower(c) == privilegedKey[n], n == colon && c == ':', n > colon && c == "true"[n-colon-1]:
			n++
		case n >= colon && n <= colon+1 && (c == ' ' || c == '\n' || c == '\r' || c == '\t'):
		case c == '"':
			n = 1
		default:
			n = 0
		}
		if n == colon+1+len("true") {
			h.note(s, noteContainerPrivileged)
			s.frame.creates = false
			return
		}
	}
	s.frame.privileged = uint8(n)
}
