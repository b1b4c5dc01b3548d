package servers_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"tidemark.dev/tidemark/tests/servers"
)

func TestNodes(t *testing.T) {
	cp := servers.For(t, servers.StartControlPlane, servers.ControlPlaneOptions{ControllerManager: true})
	servers.For(t, servers.StartNodes, servers.NodesOptions{Cluster: cp})
	read := func(path string, into any) {
		t.Helper()
		answer, err := cp.Get(t.Context(), path)
		if err == nil {
			err = json.Unmarshal(answer, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	create := func(t *testing.T, api, plural, name, spec string) (path string) {
		t.Helper()
		collection := "/apis/" + api + "/namespaces/default/" + plural
		if _, err := cp.Create(t.Context(), collection, fmt.Appendf(nil, `{"metadata": {"name": %q}, "spec": %s}`, name, spec)); err != nil {
			t.Fatal(err)
		}
		return collection + "/" + name
	}
	type status struct {
		Status struct {
			ReadyReplicas, UnavailableReplicas int
			Conditions                         []struct{ Type, Status string }
		}
	}
	is := func(path, condition string) func() bool {
		return func() bool {
			var s status
			read(path, &s)
			for _, c := range s.Status.Conditions {
				if c.Type == condition && c.Status == "True" {
					return true
				}
			}
			return false
		}
	}
	// events gives the reasons of what happened to Pods whose name begins so.
	events := func(prefix string) string {
		var list struct {
			Items []struct {
				Reason         string
				InvolvedObject struct{ Kind, Name string }
			}
		}
		read("/api/v1/namespaces/default/events", &list)
		var reasons []string
		for _, e := range list.Items {
			if e.InvolvedObject.Kind == "Pod" && strings.HasPrefix(e.InvolvedObject.Name, prefix) {
				reasons = append(reasons, e.Reason)
			}
		}
		return strings.Join(reasons, " ")
	}
	// waits names a Pod whose name begins so and whose container waits for that reason.
	waits := func(prefix, reason string) (name string) {
		var list struct {
			Items []struct {
				Metadata struct{ Name string }
				Status   struct {
					ContainerStatuses []struct {
						State struct{ Waiting struct{ Reason string } }
					}
				}
			}
		}
		read("/api/v1/namespaces/default/pods", &list)
		for _, pod := range list.Items {
			if strings.HasPrefix(pod.Metadata.Name, prefix) && len(pod.Status.ContainerStatuses) > 0 && pod.Status.ContainerStatuses[0].State.Waiting.Reason == reason {
				return pod.Metadata.Name
			}
		}
		return ""
	}
	deployment := func(image string) string {
		return fmt.Sprintf(`{"replicas": 2, "selector": {"matchLabels": {"image": %[1]q}}, "template": {"metadata": {"labels": {"image": %[1]q}},
			"spec": {"containers": [{"name": "main", "image": "shop:%[1]s"}]}}}`, image)
	}
	job := func(image string) string {
		return fmt.Sprintf(`{"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "shop:%s"}]}}}`, image)
	}

	t.Run("a Deployment becomes available, at once or slowly", func(t *testing.T) {
		for _, image := range []string{"1", "slow"} {
			path := create(t, "apps/v1", "deployments", "shop-"+image, deployment(image))
			eventually(t, path+" available", is(path, "Available"))
			var s status
			if read(path, &s); s.Status.ReadyReplicas == 0 {
				t.Errorf("%s is available with no Pod ready", path)
			}
		}
	})

	t.Run("a Deployment crashes, with an event and a log", func(t *testing.T) {
		path := create(t, "apps/v1", "deployments", "crash", deployment("broken"))
		eventually(t, "a Pod that crashes", func() bool { return waits("crash-", "CrashLoopBackOff") != "" })
		eventually(t, "an event that says so", func() bool { return strings.Contains(events("crash-"), "BackOff") })
		log, err := cp.Get(t.Context(), "/api/v1/namespaces/default/pods/"+waits("crash-", "CrashLoopBackOff")+"/log")
		if err != nil || string(log) != servers.BrokenLog {
			t.Errorf("the log is %q, %v; want %q", log, err, servers.BrokenLog)
		}
		if is(path, "Available")() {
			t.Errorf("%s is available", path)
		}
	})

	t.Run("a Deployment never starts", func(t *testing.T) {
		create(t, "apps/v1", "deployments", "never", deployment("stuck"))
		eventually(t, "a Pod that waits", func() bool { return waits("never-", "ImagePullBackOff") != "" })
		eventually(t, "an event that says so", func() bool { return strings.Contains(events("never-"), "Failed") })
	})

	t.Run("a Job succeeds, or fails", func(t *testing.T) {
		good := create(t, "batch/v1", "jobs", "good", job("1"))
		bad := create(t, "batch/v1", "jobs", "bad", job("broken"))
		eventually(t, "the good one complete", is(good, "Complete"))
		eventually(t, "the bad one failed", is(bad, "Failed"))
	})

	t.Run("Pods go", func(t *testing.T) {
		path := create(t, "apps/v1", "deployments", "short", deployment("gone"))
		eventually(t, path+" available", is(path, "Available"))
		if err := cp.Delete(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		eventually(t, "no Pod of it", func() bool {
			var list struct{ Items []any }
			read("/api/v1/namespaces/default/pods?labelSelector=image%3Dgone", &list)
			return len(list.Items) == 0
		})
	})
}
