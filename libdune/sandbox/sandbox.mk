# Included by the Makefile: plugin sandboxes. The monitor and the runner are
# programs of their own, which libdune brings along as data.

BOX	:= libdune/sandbox
# Not the library's: programs, and what their build makes of them.
BOX_MON	:= $(addprefix $(BOX)/,monitor.c save.c restore.c)
BOX_LIB	:= $(filter-out $(BOX_MON) %/runner.c, $(wildcard $(BOX)/*.c))
LIB_C	+= $(BOX_LIB) $(addprefix kern/,broker/server.c broker/members.c \
	     broker/files.c sys/stats.c)
LIB_S	+= $(BOX)/blobs.S

$(B)/sandbox/monitor: $(call obj,obj,$(BOX_MON) $(BOX)/image.c) $(B)/libkern.a
	@echo "  LD      $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDSTATIC) -s $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(B)/sandbox/runner: $(call obj,obj,$(BOX)/runner.c $(BOX)/invoke.S)
	@echo "  LD      $@"
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -pie -pthread -Wl,-z,relro,-z,now $(LDFLAGS) \
		-o $@ $^ -ldl

BLOBS	:= -DDUNE_MONITOR='"$(B)/sandbox/monitor"' \
	   -DDUNE_RUNNER='"$(B)/sandbox/runner"'
$(foreach d,pic self-asan self-fuzz,$(B)/$(d)/$(BOX)/blobs.o): \
	CPPFLAGS += $(BLOBS)
$(foreach d,pic self-asan self-fuzz,$(B)/$(d)/$(BOX)/blobs.o): \
	$(B)/sandbox/monitor $(B)/sandbox/runner
