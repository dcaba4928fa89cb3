{{- define "akldap.name" -}}
{{- if contains "akldap" .Release.Name }}{{ .Release.Name | trunc 55 | trimSuffix "-" }}{{ else }}{{ printf "%s-akldap" .Release.Name | trunc 55 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "akldap.selector" -}}
app.kubernetes.io/name: akldap
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "akldap.labels" -}}
{{ include "akldap.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "akldap.secret" -}}
{{ .Values.authentik.token.existingSecret | default (include "akldap.name" .) }}
{{- end }}
