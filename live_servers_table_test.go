package weir_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// liveToken is what evasionRule finds.
const liveToken = "WEIRTOKEN-7f3a91"

// liveServers begins with those that take longest to start.
var liveServers = []liveServer{
	{
		name: "rabbitmq", port: "15673", app: "amqp", fields: "amqp.body",
		events: []string{`"method":"Basic.Publish".*"routing_key":"card"`, `"method":"Queue.Declare"`, `"queue":"card"`, `"method":"Basic.Get`, `"user":"guest"`},
		talk: func(t *testing.T, l serverLab) {
			// Without a port mapper of its own the server would start one that outlives it.
			spawn(t, l.servers, "epmd", "-address", "127.0.0.1")
			l.file(t, "rabbit.conf", "loopback_users = none\n")
			l.file(t, "plugins", "[].\n")
			l.serve(t, syscall.SIGTERM, "env", "HOME="+l.dir, "RUNNING_UNDER_SYSTEMD=true", "RABBITMQ_NODENAME=rabbit@localhost", "RABBITMQ_NODE_IP_ADDRESS="+serverAddr,
				"RABBITMQ_NODE_PORT="+l.port, "RABBITMQ_MNESIA_BASE="+l.dir+"/data", "RABBITMQ_LOGS=-", "RABBITMQ_LOG_BASE="+l.dir,
				"RABBITMQ_CONFIG_FILE="+l.dir+"/rabbit", "RABBITMQ_ENABLED_PLUGINS_FILE="+l.dir+"/plugins", "RABBITMQ_CONF_ENV_FILE="+l.dir+"/none", "/usr/lib/rabbitmq/bin/rabbitmq-server")
			url := "--url=amqp://guest:guest@" + serverAddr + ":" + l.port
			l.client(t, "amqp-declare-queue", url, "-q", "card")
			l.client(t, "amqp-publish", url, "-r", "card", "-b", liveToken)
			l.client(t, "amqp-get", url, "-q", "card")
		},
	},
	{
		name: "mariadb", port: "13306", app: "mysql", fields: "mysql.file mysql.parameter mysql.query mysql.row",
		events: []string{`"user":"shop"`, `"query":"create table card `, `"verb":"SELECT"`, `"query":"select id, note.*"rows":1`, `"query":"select repeat\('x', 300000\).*"rows":1`,
			`"command":"stmt_execute".*"rows":2`, `"file_name":"[^"]*/rows"`, `"error_code":1146`},
		talk: func(t *testing.T, l serverLab) {
			data := filepath.Join(l.dir, "data")
			command(t, "mariadb-install-db", "--no-defaults", "--user=mysql", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db")
			start := l.file(t, "init.sql", "create database shop;\ncreate user shop@'%';\ngrant all on shop.* to shop@'%';\n")
			l.serve(t, syscall.SIGTERM, "mariadbd", "--no-defaults", "--user=mysql", "--datadir="+data, "--socket="+l.dir+"/s", "--pid-file="+l.dir+"/pid",
				"--bind-address="+serverAddr, "--port="+l.port, "--skip-name-resolve", "--init-file="+start)
			client := "mariadb --no-defaults --skip-auto-rehash -h " + serverAddr + " -P " + l.port + " -u shop shop"
			l.client(t, "sh", "-c", client+" -e \"create table card (id int, note text); insert into card values (1, '"+liveToken+"'); select id, note from card\"")
			l.client(t, "sh", "-c", "! "+client+" -e 'select * from nowhere'")
			l.client(t, "sh", "-c", client+" --compress -e \"select repeat('x', 300000), note from card\" >/dev/null")
			l.client(t, "sh", "-c", client+" --local-infile -e \"load data local infile '"+l.file(t, "rows", "2\t"+liveToken+"\n")+"' into table card\"")
			l.client(t, "perl", "-MDBI", "-e", `my $d = DBI->connect("DBI:MariaDB:database=shop;host=$ARGV[0];port=$ARGV[1]", "shop", "", {RaiseError => 1, mariadb_server_prepare => 1});
				my $s = $d->prepare("select id, note from card where note = ?"); $s->execute($ARGV[2]); print @$_ while $_ = $s->fetch`, serverAddr, l.port, liveToken)
		},
	},
	{
		name: "postgresql", port: "5432", app: "postgresql", fields: "postgresql.copy postgresql.notification postgresql.parameter postgresql.query postgresql.row",
		events: []string{`"user":"postgres"`, `"simple_query":"CREATE TABLE card `, `"verb":"SELECT".*"tables":\["card"\]`, `"command_completed":"COPY 1"`, `"command_completed":"FETCH 2"`,
			`"authentication":"SCRAM-SHA-256"`, `"names":\["P[_0-9]+"\],"simple_query":"SELECT count`, `"request":\{"names":\["P[_0-9]+"\]\},"response":\{"command_completed":"SELECT 1"`, `"message":"relation .*nowhere.* does not exist"`},
		talk: func(t *testing.T, l serverLab) {
			l.postgres(t)
			psql := []string{"psql", "-X", "-q", "-h", serverAddr, "-p", l.port, "-U", "postgres"}
			l.client(t, append(psql, "-c", "CREATE TABLE card (id int, note text)", "-c", "INSERT INTO card VALUES (1, '"+liveToken+"')",
				"-c", "SELECT id, note FROM card", "-c", "\\copy card TO '"+l.dir+"/copy'", "-c", "SELECT 1/2 FROM card")...)
			l.client(t, append(psql, "-c", "\\copy card FROM '"+l.dir+"/copy'", "-c", "LISTEN c", "-c", "NOTIFY c, '"+liveToken+"'", "-o", l.dir+"/big", "-c", "SELECT repeat('x', 3000000), note FROM card",
				"-c", "CREATE ROLE shop LOGIN PASSWORD 'secret'", "-c", "BEGIN", "-c", "DECLARE c CURSOR FOR SELECT * FROM card", "-c", "FETCH 10 c", "-c", "COMMIT")...)
			l.client(t, "env", "PGPASSWORD=secret", "psql", "-X", "-q", "-h", serverAddr, "-p", l.port, "-U", "shop", "-d", "postgres", "-c", "SELECT 7")
			l.client(t, append([]string{"sh", "-c", `! "$@"`, "sh"}, append(psql, "-c", "SELECT * FROM nowhere")...)...)
			script := l.file(t, "prepared.sql", "\\set id 1\nSELECT count(*) FROM card WHERE id = :id AND note = :note;\n")
			l.client(t, "pgbench", "-h", serverAddr, "-p", l.port, "-U", "postgres", "-n", "-M", "prepared", "-D", "note="+liveToken, "-t", "3", "-f", script, "postgres")
		},
	},
	{
		name: "postgresql tls", port: "15432", app: "tls",
		events: []string{`"message":"ssl_request".*"ssl_accepted":true`, `"event_type":"tls".*"version":"TLS 1.3"`},
		talk: func(t *testing.T, l serverLab) {
			l.certificate(t)
			command(t, "chown", "postgres", l.dir+"/key")
			l.postgres(t, "-c", "ssl=on", "-c", "ssl_cert_file="+l.dir+"/cert", "-c", "ssl_key_file="+l.dir+"/key")
			l.client(t, "env", "PGSSLMODE=require", "psql", "-X", "-q", "-h", serverAddr, "-p", l.port, "-U", "postgres", "-c", "SELECT '"+liveToken+"'")
		},
	},
	{
		name: "redis", port: "6379", app: "redis", fields: "redis.reply redis.request",
		events: []string{`"command":"SET","key":"card:1"`, `"command":"GET","key":"card:1"`, `"command":"HSET","key":"cart:7"`},
		talk: func(t *testing.T, l serverLab) {
			l.serve(t, syscall.SIGTERM, "redis-server", "--bind", serverAddr, "--port", l.port, "--dir", l.dir, "--save", "", "--protected-mode", "no")
			redis := []string{"redis-cli", "-h", serverAddr, "-p", l.port}
			l.client(t, append(redis, "SET", "card:1", liveToken)...)
			l.client(t, append(redis, "-3", "GET", "card:1")...)
			l.client(t, append(redis, "HSET", "cart:7", "a", "1", "b", "2")...)
			l.client(t, append(redis, "-3", "HGETALL", "cart:7")...)
			l.client(t, append(redis, "INFO")...)
			l.client(t, append(redis, "EVAL", "return {redis.call('GET', KEYS[1]), 7}", "1", "card:1")...)
			l.client(t, append([]string{"sh", "-c", `head -c 3000000 /dev/zero | "$@" -x SET big; printf 'MULTI\nGET card:1\nINCR n\nEXEC\nPUBLISH c m\n' | "$@"`, "sh"}, redis...)...)
			l.client(t, append(redis, "-3", "GETRANGE", "big", "0", "2000000")...)
			l.client(t, append([]string{"sh", "-c", `for i in $(seq 2000); do printf 'SET k:%d v%d\r\n' $i $i; done | "$@" --pipe`, "sh"}, redis...)...)
		},
	},
	{
		name: "mosquitto", port: "11883", app: "mqtt", fields: "mqtt.connect.will.message mqtt.properties mqtt.publish.message",
		events: []string{`"topic":"shop/card"`, `"protocol_version":4`, `"protocol_version":5`, `"qos":2`, `"username":"till"`, `"will":\{.*"topic":"shop/lost"`},
		talk: func(t *testing.T, l serverLab) {
			conf := l.file(t, "conf", "listener "+l.port+" "+serverAddr+"\nallow_anonymous true\npersistence false\n")
			l.serve(t, syscall.SIGTERM, "mosquitto", "-c", conf)
			at := []string{"-h", serverAddr, "-p", l.port, "-t", "shop/card"}
			l.client(t, append([]string{"mosquitto_pub", "-V", "mqttv311", "-q", "2", "-r", "-m", liveToken}, at...)...)
			l.client(t, append([]string{"mosquitto_pub", "-V", "mqttv5", "-q", "1", "-u", "till", "-P", "secret", "-m", "x", "-D", "publish", "user-property", "k", liveToken,
				"--will-topic", "shop/lost", "--will-payload", liveToken}, at...)...)
			l.client(t, append([]string{"mosquitto_sub", "-V", "mqttv5", "-q", "1", "-C", "1"}, at...)...)
		},
	},
	{
		name: "nats", port: "4222", app: "nats", fields: "nats.headers nats.payload",
		events: []string{`"operation":"PUB".*"subject":"shop.card"`, `"operation":"SUB".*"subject":"shop.>"`, `"operation":"MSG"`},
		talk: func(t *testing.T, l serverLab) {
			l.serve(t, syscall.SIGTERM, "nats-server", "-a", serverAddr, "-p", l.port)
			l.say(t, [2]string{"", "INFO "},
				[2]string{"CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"lang\":\"go\"}\r\nSUB shop.> 1\r\nPING\r\n", "PONG\r\n"},
				[2]string{"PUB shop.card 16\r\n" + liveToken + "\r\nPING\r\n", "PONG\r\n"},
				[2]string{"HPUB shop.cart 33 35\r\nNATS/1.0\r\nK: " + liveToken + "\r\n\r\nok\r\nPING\r\n", "PONG\r\n"})
		},
	},
	{
		name: "memcached", port: "21211", app: "memcached", fields: "memcached.value",
		events: []string{`"command":"set","key":"card:1"`, `"command":"get","key":"card:1"`, `"command":"stats"`},
		talk: func(t *testing.T, l serverLab) {
			l.serve(t, syscall.SIGTERM, "memcached", "-u", "memcache", "-l", serverAddr, "-p", l.port, "-U", "0")
			l.say(t, [2]string{"set card:1 0 0 16\r\n" + liveToken + "\r\n", "STORED\r\n"}, [2]string{"get card:1\r\n", "END\r\n"},
				[2]string{"incr nothing 1\r\n", "NOT_FOUND\r\n"}, [2]string{"stats\r\n", "END\r\n"})
		},
	},
	{
		name: "nginx http", port: "8081", app: "http", fields: "http.request.body http.response.body",
		events: []string{`"url":"/card.txt"`, `"http_method":"POST","protocol":"HTTP/1.1"|"http_method":"POST"`, `"status":200`},
		talk: func(t *testing.T, l serverLab) {
			l.nginx(t, "")
			url := "http://" + serverAddr + ":" + l.port
			l.client(t, "curl", "-sS", "--compressed", url+"/card.txt")
			l.client(t, "curl", "-sS", "-o", l.dir+"/answer", "-d", "note="+liveToken, url+"/take")
		},
	},
	{
		name: "nginx http2", port: "8082", app: "http2", fields: "http.request.body http.response.body",
		events: []string{`"url":"/card.txt"`, `"status":200`, `"stream_id":1`},
		talk: func(t *testing.T, l serverLab) {
			l.nginx(t, "http2")
			url := "http://" + serverAddr + ":" + l.port
			l.client(t, "curl", "-sS", "--http2-prior-knowledge", "--compressed", url+"/card.txt")
			l.client(t, "curl", "-sS", "--http2-prior-knowledge", "-o", l.dir+"/answer", "-d", "note="+liveToken, url+"/take")
		},
	},
	{
		name: "nginx tls", port: "18443", app: "tls",
		events: []string{`"sni":"shop.example"`, `"server_alpns":\["h2"\]`, `"version":"TLS 1.2".*|"subject":"CN=shop.example"`},
		talk: func(t *testing.T, l serverLab) {
			l.certificate(t)
			l.nginx(t, "ssl http2; ssl_certificate cert; ssl_certificate_key key")
			for _, version := range []string{"1.2", "1.3"} {
				l.client(t, "curl", "-sS", "-k", "--tls-max", version, "--resolve", "shop.example:"+l.port+":"+serverAddr, "https://shop.example:"+l.port+"/card.txt")
			}
		},
	},
	{
		name: "openssh", port: "20022", app: "ssh",
		events: []string{`"client":\{[^}]*"software_version":"OpenSSH_`, `"server":\{[^}]*"software_version":"OpenSSH_`},
		talk: func(t *testing.T, l serverLab) {
			command(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", l.dir+"/key")
			// A file system of its own for what the service's unit makes.
			l.serve(t, syscall.SIGTERM, "sh", "-c", `mount -t tmpfs weir-test /run && mkdir /run/sshd && exec "$@"`, "sh", "/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-h", l.dir+"/key",
				"-o", "ListenAddress="+serverAddr, "-p", l.port, "-o", "PidFile=none", "-o", "StrictModes=no", "-o", "AuthorizedKeysFile="+l.dir+"/key.pub")
			l.client(t, "ssh", "-F", "/dev/null", "-i", l.dir+"/key", "-p", l.port, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "root@"+serverAddr, "echo", liveToken)
		},
	},
	{
		name: "dnsmasq", port: "53", app: "dns", fields: "dns.answer",
		events: []string{`"rrname":"card.example"`, `"rrtype":"TXT"`, `"rcode":"NXDOMAIN"`},
		talk: func(t *testing.T, l serverLab) {
			l.serve(t, syscall.SIGTERM, "dnsmasq", "-k", "-C", "/dev/null", "--user=root", "--pid-file=", "--listen-address="+serverAddr, "--bind-interfaces", "--port="+l.port, "--no-resolv", "--no-hosts",
				"--txt-record=card.example,"+liveToken, "--local=/example/")
			for _, how := range []string{"+notcp", "+tcp"} {
				l.client(t, "dig", "@"+serverAddr, "-p", l.port, how, "card.example", "TXT")
				l.client(t, "dig", "@"+serverAddr, "-p", l.port, how, "nowhere.example", "A")
			}
		},
	},
	{
		name: "smtp tls", port: "587", app: "tls",
		events: []string{`"helo":"shop.example"`, `"event_type":"tls".*"version":"TLS 1.3"`},
		talk: func(t *testing.T, l serverLab) {
			l.certificate(t)
			l.serve(t, syscall.SIGTERM, "/usr/bin/python3", "-m", "aiosmtpd", "-n", "-l", serverAddr+":"+l.port, "-c", "aiosmtpd.handlers.Sink", "--tlscert", l.dir+"/cert", "--tlskey", l.dir+"/key")
			l.client(t, "curl", "-sS", "-k", "--ssl-reqd", "--mail-from", "a@shop.example", "--mail-rcpt", "b@shop.example", "-T", l.file(t, "mail", "Subject: card\r\n\r\n"+liveToken+"\r\n"),
				"smtp://"+serverAddr+":"+l.port+"/shop.example")
		},
	},
	{
		name: "smtp", port: "2525", app: "smtp", fields: "smtp.mail.body",
		events: []string{`"helo":"shop.example"`, `"mail_from":"<a@shop.example>"`, `"subject":"card"`, `"attachment":\["card.txt"\]`},
		talk: func(t *testing.T, l serverLab) {
			l.serve(t, syscall.SIGTERM, "/usr/bin/python3", "-m", "aiosmtpd", "-n", "-l", serverAddr+":"+l.port, "-c", "aiosmtpd.handlers.Sink")
			file := l.file(t, "card.txt", strings.Repeat("a line of the attachment\n", 100)+liveToken+"\n")
			l.client(t, "swaks", "--server", serverAddr, "--port", l.port, "--helo", "shop.example", "--from", "a@shop.example", "--to", "b@shop.example", "--header", "Subject: card",
				"--attach-name", "card.txt", "--attach-type", "text/plain", "--attach", "@"+file)
		},
	},
}

// postgres serves everyone without a password as postgres, others with one.
func (l serverLab) postgres(t *testing.T, options ...string) {
	t.Helper()
	bin := globOne(t, "/usr/lib/postgresql/*/bin")
	as := []string{"setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"}
	data := filepath.Join(l.dir, "data")
	command(t, as[0], append(as[1:], bin+"/initdb", "--no-sync", "-A", "trust", "-U", "postgres", "-D", data)...)
	hba := "host all postgres 10.98.0.0/24 trust\nhost all all 10.98.0.0/24 scram-sha-256\n"
	if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(hba), 0o644); err != nil {
		t.Fatal(err)
	}
	l.serve(t, syscall.SIGINT, append(append(as, bin+"/postgres", "-D", data, "-k", l.dir, "-h", serverAddr, "-p", l.port, "-c", "fsync=off"), options...)...)
	until(t, "postgres", func() bool { // it listens before it is ready
		return exec.Command("ip", "netns", "exec", l.servers, "pg_isready", "-q", "-h", l.dir, "-p", l.port).Run() == nil
	})
}

// certificate makes a key and a certificate, for whoever reads them.
func (l serverLab) certificate(t *testing.T) {
	t.Helper()
	command(t, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=shop.example", "-keyout", l.dir+"/key", "-out", l.dir+"/cert")
}

// nginx serves a file with the token at /card.txt, and answers with it to what is posted to /take.
func (l serverLab) nginx(t *testing.T, listen string) {
	t.Helper()
	temp := ""
	for _, what := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += what + "_temp_path temp_" + what + ";\n"
	}
	l.file(t, "card.txt", strings.Repeat("a line of the file\n", 100)+liveToken+"\n")
	l.file(t, "conf", "user root; daemon off; pid pid; worker_processes 1; events {}\nhttp { access_log off; gzip on; gzip_types *;\n"+temp+
		"server { listen "+serverAddr+":"+l.port+" "+listen+"; root "+l.dir+";\n"+
		"location /take { proxy_method GET; proxy_pass http://unix:"+l.dir+"/socket:/card.txt; } }\n"+
		"server { listen unix:"+l.dir+"/socket; root "+l.dir+"; } }\n")
	l.serve(t, syscall.SIGTERM, "nginx", "-p", l.dir, "-c", "conf", "-e", "stderr")
}

// globOne returns the one path that a pattern stands for.
func globOne(t *testing.T, pattern string) string {
	t.Helper()
	list, err := filepath.Glob(pattern)
	if err != nil || len(list) == 0 {
		t.Fatalf("nothing is at %s: %v", pattern, err)
	}
	return list[len(list)-1]
}
