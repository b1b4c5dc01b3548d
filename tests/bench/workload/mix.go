// Package workload writes what the bench applies: the files of a realistic mix of objects, and of a repository that many
// apps share; and the edits that a day brings to them.
//
// The same arguments give the same bytes on any machine. Names and numbers vary, and half of the text is random letters,
// so that sizes mean something where files are compressed.
package workload

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// shares is how many of 100 objects are of each kind.
var shares = []struct {
	Kind  string
	Count int
}{
	{"Deployment", 20}, {"Service", 20}, {"ConfigMap", 30}, {"Secret", 10}, {"ServiceAccount", 10}, {"Role", 5}, {"RoleBinding", 5},
}

// Mix is a number of namespaces of the mix, as files in a folder: one folder a namespace, one file a kind and number.
type Mix struct {
	// Dir holds the folders.
	Dir string
	// Namespaces are their names, in order.
	Namespaces []string

	per int
}

// NewMix writes that many namespaces of the mix to the folder, each with so many objects: a multiple of 20.
func NewMix(dir string, namespaces, per int) (Mix, error) {
	m := Mix{Dir: dir, per: per}
	for i := range namespaces {
		m.Namespaces = append(m.Namespaces, fmt.Sprintf("mix-%03d", i))
	}
	for _, namespace := range m.Namespaces {
		for path, text := range m.files(namespace) {
			if err := write(filepath.Join(dir, namespace, path), text); err != nil {
				return m, err
			}
		}
	}
	return m, nil
}

// Len is how many objects the mix holds.
func (m Mix) Len() int { return len(m.Namespaces) * m.per }

// ChangeOne edits one value of one ConfigMap, in the middle of the mix. Each round gives another value.
func (m Mix) ChangeOne(round int) error {
	namespace := m.Namespaces[len(m.Namespaces)/2]
	return write(filepath.Join(m.Dir, namespace, file("ConfigMap", 1)), configMap(namespace, 1, fmt.Sprintf("round-%d", round)))
}

// Drifted is the object that the bench edits by hand, as the path of the API; the edit goes to its field data.level.
func (m Mix) Drifted() string {
	return "/api/v1/namespaces/" + m.Namespaces[len(m.Namespaces)/3] + "/configmaps/" + name("ConfigMap", 2)
}

// RemoveTenth removes the last tenth of the Deployments, Services, ConfigMaps, Secrets and ServiceAccounts of each
// namespace, and one Role.
func (m Mix) RemoveTenth() error {
	for _, namespace := range m.Namespaces {
		for _, k := range shares {
			count := k.Count * m.per / 100
			gone := (count + 5) / 10
			if k.Kind == "RoleBinding" {
				gone = 0
			}
			for i := count - gone; i < count; i++ {
				if err := os.Remove(filepath.Join(m.Dir, namespace, file(k.Kind, i))); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (m Mix) files(namespace string) map[string]string {
	all := map[string]string{}
	for _, k := range shares {
		for i := range k.Count * m.per / 100 {
			all[file(k.Kind, i)] = manifest(k.Kind, namespace, i)
		}
	}
	return all
}

func file(kind string, number int) string { return name(kind, number) + ".yaml" }

func name(kind string, number int) string {
	return fmt.Sprintf("%s-%02d", strings.ToLower(kind), number)
}

func manifest(kind, namespace string, i int) string {
	switch kind {
	case "Deployment":
		return deployment(namespace, i)
	case "Service":
		return service(namespace, i)
	case "ConfigMap":
		return configMap(namespace, i, "info")
	case "Secret":
		return secret(namespace, i)
	case "ServiceAccount":
		return head("v1", kind, namespace, i) + "automountServiceAccountToken: false\n"
	case "Role":
		return head("rbac.authorization.k8s.io/v1", kind, namespace, i) + `rules:
- apiGroups: [""]
  resources: [configmaps, secrets]
  verbs: [get, list, watch]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, update]
`
	case "RoleBinding":
		return head("rbac.authorization.k8s.io/v1", kind, namespace, i) + fmt.Sprintf(`roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: %s
subjects:
- kind: ServiceAccount
  name: %s
  namespace: %s
`, name("Role", i%4), name("ServiceAccount", i), namespace)
	}
	panic("no manifest for " + kind)
}

func head(apiVersion, kind, namespace string, i int) string {
	return fmt.Sprintf(`apiVersion: %s
kind: %s
metadata:
  name: %s
  namespace: %s
  labels:
    app.kubernetes.io/name: %s
    app.kubernetes.io/part-of: %s
    app.kubernetes.io/component: c%02d
`, apiVersion, kind, name(kind, i), namespace, name(kind, i), namespace, i)
}

func deployment(namespace string, i int) string {
	return head("apps/v1", "Deployment", namespace, i) + fmt.Sprintf(`spec:
  replicas: %d
  revisionHistoryLimit: 3
  selector:
    matchLabels:
      app: d%02d
  template:
    metadata:
      labels:
        app: d%02d
      annotations:
        prometheus.io/scrape: "true"
        prometheus.io/port: "9090"
    spec:
      serviceAccountName: %s
      securityContext:
        runAsNonRoot: true
        runAsUser: 10001
      containers:
      - name: main
        image: registry.example.test/%s/d%02d:v1.%d.0
        args: [--listen=:8080, --metrics=:9090, --config=/etc/app/config.yaml]
        ports:
        - name: http
          containerPort: 8080
        - name: metrics
          containerPort: 9090
        env:
        - name: LEVEL
          valueFrom:
            configMapKeyRef:
              name: %s
              key: level
        - name: TOKEN
          valueFrom:
            secretKeyRef:
              name: %s
              key: token
        - name: REGION
          value: eu-%d
        resources:
          requests:
            cpu: 50m
            memory: 64Mi
          limits:
            memory: 256Mi
        readinessProbe:
          httpGet:
            path: /ready
            port: http
          periodSeconds: 5
        livenessProbe:
          httpGet:
            path: /live
            port: http
        volumeMounts:
        - name: config
          mountPath: /etc/app
      volumes:
      - name: config
        configMap:
          name: %s
`, 1+i%3, i, i, name("ServiceAccount", i%9), namespace, i, i, name("ConfigMap", i), name("Secret", i%9), i%4, name("ConfigMap", i))
}

func service(namespace string, i int) string {
	return head("v1", "Service", namespace, i) + fmt.Sprintf(`spec:
  selector:
    app: d%02d
  ports:
  - name: http
    port: 80
    targetPort: http
  - name: metrics
    port: 9090
    targetPort: metrics
`, i)
}

func configMap(namespace string, i int, level string) string {
	noise := noise(namespace, "ConfigMap", i)
	return head("v1", "ConfigMap", namespace, i) + fmt.Sprintf(`data:
  level: %s
  config.yaml: |
    listen: ":8080"
    upstream: http://%s.%s.svc
    timeout: %ds
    key: %s
    salt: %s
`, level, name("Service", i%20), namespace, 5+i, letters(noise, 300), letters(noise, 300))
}

func secret(namespace string, i int) string {
	noise := noise(namespace, "Secret", i)
	return head("v1", "Secret", namespace, i) + fmt.Sprintf("type: Opaque\nstringData:\n  token: %s\n  password: %s\n", letters(noise, 64), letters(noise, 24))
}

// noise is a source of letters that depends on nothing but what it is for.
func noise(namespace, kind string, i int) *rand.Rand {
	var seed uint64 = 14695981039346656037
	for _, b := range fmt.Append(nil, namespace, kind, i) {
		seed = (seed ^ uint64(b)) * 1099511628211
	}
	return rand.New(rand.NewPCG(seed, 1))
}

func letters(r *rand.Rand, n int) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

func write(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}
