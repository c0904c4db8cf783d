# Makes segmentd@.service of segmentd.service: an instance NAME has /etc/segmentd/NAME.yaml and a folder
# of its own. `make deb` runs it; nothing is written twice.
s|^Description=.*|& (%i)|
s|/etc/segmentd/segmentd\.yaml|/etc/segmentd/%i.yaml|
s|^ExecStart=.*|& --set state.directory=%S/segmentd/%i|
s|^StateDirectory=segmentd$|StateDirectory=segmentd/%i|
s|^RuntimeDirectory=segmentd$|RuntimeDirectory=segmentd-%i|
