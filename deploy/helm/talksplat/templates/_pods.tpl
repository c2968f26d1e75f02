{{/* Security of a pod: Kubernetes' profile "restricted". Takes the user's number. */}}
{{- define "talksplat.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Security of a container. */}}
{{- define "talksplat.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* What the specs of all our pods share. Takes {root, placed}: placed has nodeSelector and so on. */}}
{{- define "talksplat.podCommon" -}}
serviceAccountName: {{ .root.Values.serviceAccountName }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "talksplat.podSecurity" 10001 | nindent 2 }}
{{- with .placed.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .placed.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .placed.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Spread the pods of a component. Takes {root, component}. */}}
{{- define "talksplat.spread" -}}
{{- with .root.Values.topologySpread }}
{{- if .topologyKey }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: {{ .topologyKey }}
    whenUnsatisfiable: {{ .whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "talksplat.selectorLabels" $ | nindent 8 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Plain variables from a map of settings. */}}
{{- define "talksplat.settings" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end -}}

{{/* Template of a worker's pods. Takes {root, name, worker, isOne}. */}}
{{- define "talksplat.workerPod" -}}
{{- $component := dict "root" .root "component" .name -}}
metadata:
  labels:
    {{- include "talksplat.labels" $component | nindent 4 }}
    app.kubernetes.io/part-of: talksplat-workers
  annotations:
    kubectl.kubernetes.io/default-container: worker
    {{- if .isOne }}
    cluster-autoscaler.kubernetes.io/safe-to-evict: "false"
    karpenter.sh/do-not-disrupt: "true"
    {{- end }}
spec:
  {{- include "talksplat.podCommon" (dict "root" .root "placed" .worker) | nindent 2 }}
  {{- with .worker.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  {{- include "talksplat.spread" $component | trim | nindent 2 }}
  terminationGracePeriodSeconds: {{ .worker.terminationGracePeriodSeconds }}
  {{- if .isOne }}
  restartPolicy: Never
  {{- end }}
  containers:
    - name: worker
      image: {{ include "talksplat.image" (dict "root" .root "name" .name "variant" .worker.variant) }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      command: [talksplat, worker, {{ .name }}]
      args: [--json{{ if .isOne }}, --one{{ end }}]
      env:
        {{- include "talksplat.secretVariable" (dict "root" .root "part" "broker" "name" "TALKSPLAT_BROKER_URL" "key" .root.Values.broker.urlKey) | nindent 8 }}
        {{- include "talksplat.secretVariable" (dict "root" .root "part" "store" "name" "TALKSPLAT_STORE_URL" "key" .root.Values.store.urlKey) | nindent 8 }}
        - name: TALKSPLAT_WORKER_GRACE_SECONDS
          value: {{ .worker.graceSeconds | quote }}
        - name: TALKSPLAT_METRICS_PORT
          value: "9464"
        - name: TALKSPLAT_WORK_DIR
          value: /scratch
        - name: TALKSPLAT_MODELS_DIR
          value: /models
        - name: TALKSPLAT_THREADS
          valueFrom:
            resourceFieldRef:
              containerName: worker
              resource: limits.cpu
              divisor: "1"
        - name: NUMBA_CACHE_DIR
          value: /cache
        - name: HOME
          value: /tmp
        {{- include "talksplat.settings" .worker.settings | nindent 8 }}
      ports:
        - name: metrics
          containerPort: 9464
          protocol: TCP
      startupProbe:
        httpGet: {path: /healthz, port: metrics}
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /healthz, port: metrics}
        periodSeconds: 20
        timeoutSeconds: 10
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /readyz, port: metrics}
        periodSeconds: 20
        timeoutSeconds: 10
      resources:
        {{- toYaml .worker.resources | nindent 8 }}
      securityContext:
        {{- include "talksplat.containerSecurity" . | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        - {name: scratch, mountPath: /scratch}
        - {name: cache, mountPath: /cache}
        {{- if .root.Values.models.existingClaim }}
        - {name: models, mountPath: /models, readOnly: true}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: 1Gi}
    - name: scratch
      emptyDir: {sizeLimit: {{ .worker.scratchSize }}}
    - name: cache
      emptyDir: {sizeLimit: {{ .worker.cacheSize }}}
    {{- with .root.Values.models.existingClaim }}
    - name: models
      persistentVolumeClaim: {claimName: {{ . }}, readOnly: true}
    {{- end }}
{{- end -}}
