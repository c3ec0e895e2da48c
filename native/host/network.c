/* Moving network devices, through two routing sockets: one of the runtime's network namespace, and one that init opened in
   its own. The engine enters no namespace. */
#include "base/syscall.h"
#include "base/text.h"
#include "host/host.h"
#include <linux/fcntl.h>
#include <linux/if.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>

#define SOL_NETLINK 270

struct request {
  struct nlmsghdr head;
  union {
    struct ifinfomsg link;
    struct ifaddrmsg address;
  } body;
  char attributes[512];
};

static struct request new_request(uint16_t type, uint16_t flags, size_t body) {
  return (struct request){.head = {.nlmsg_len = (uint32_t)NLMSG_LENGTH(body),
                                   .nlmsg_type = type,
                                   .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags)}};
}

/* 0, or -EMSGSIZE where there is no room left. */
static int add_attribute(struct request *request, uint16_t type, const void *data, size_t length) {
  size_t at = NLMSG_ALIGN(request->head.nlmsg_len), end = at + RTA_LENGTH(length);
  if (end > sizeof *request) return -EMSGSIZE;
  struct rtattr *attribute = (struct rtattr *)(void *)((char *)request + at);
  attribute->rta_type = type;
  attribute->rta_len = (unsigned short)RTA_LENGTH(length);
  memcpy(RTA_DATA(attribute), data, length);
  request->head.nlmsg_len = (uint32_t)end;
  return 0;
}

/* Told of each message that answers a request; a negative errno ends the reading. */
typedef int visitor(const struct nlmsghdr *message, void *data);

/* The kernel's own words for its error, where it has some (NLMSGERR_ATTR_MSG). */
static void note_words(struct context *context, const struct nlmsghdr *message) {
  if ((message->nlmsg_flags & NLM_F_ACK_TLVS) == 0) return;
  const struct nlmsgerr *error = NLMSG_DATA(message);
  size_t skip = sizeof *error;
  if ((message->nlmsg_flags & NLM_F_CAPPED) == 0) skip += error->msg.nlmsg_len - sizeof error->msg;
  long rest = (long)message->nlmsg_len - (long)NLMSG_LENGTH(NLMSG_ALIGN(skip));
  const struct rtattr *attribute = (const void *)((const char *)NLMSG_DATA(message) + NLMSG_ALIGN(skip));
  for (; RTA_OK(attribute, rest); attribute = RTA_NEXT(attribute, rest)) {
    if (attribute->rta_type != NLMSGERR_ATTR_MSG) continue;
    struct text text = text_in(context->message, sizeof context->message);
    text_add_bytes(&text, RTA_DATA(attribute), RTA_PAYLOAD(attribute) - 1);
  }
}

/* Sends a request and reads until the kernel acknowledges it, or has told all. */
static int ask(struct context *context, int socket, struct request *request, visitor *visit, void *data) {
  static _Alignas(8) char buffer[65536];
  long sent = SYSCALL6(sendto, socket, request, request->head.nlmsg_len, 0, 0, 0);
  if (sent < 0) return (int)sent;
  for (;;) {
    long length = SYSCALL6(recvfrom, socket, buffer, sizeof buffer, 0, 0, 0);
    if (length == -EINTR) continue;
    if (length < 0) return (int)length;
    const struct nlmsghdr *message = (const void *)buffer;
    for (; NLMSG_OK(message, length); message = NLMSG_NEXT(message, length)) {
      if (message->nlmsg_type == NLMSG_DONE) return 0;
      if (message->nlmsg_type == NLMSG_ERROR) {
        note_words(context, message);
        return ((const struct nlmsgerr *)NLMSG_DATA(message))->error;
      }
      int error = visit == NULL ? 0 : visit(message, data);
      if (error < 0) return error;
    }
  }
}

static int take_index(const struct nlmsghdr *message, void *data) {
  *(int *)data = ((const struct ifinfomsg *)NLMSG_DATA(message))->ifi_index;
  return 0;
}

/* The index of a device, or a negative errno: -ENODEV where there is none of this name. */
static int find_device(struct context *context, int socket, const char *name) {
  struct request request = new_request(RTM_GETLINK, NLM_F_ACK, sizeof request.body.link);
  int index = -ENODEV, error = add_attribute(&request, IFLA_IFNAME, name, strlen(name) + 1);
  if (error == 0) error = ask(context, socket, &request, take_index, &index);
  return error < 0 ? error : index;
}

/* Requests that will give the addresses to the device again, one behind the other. */
struct addresses {
  int index, renamed;
  struct request *list;
  size_t count;
};

static int keep_address(const struct nlmsghdr *message, void *data) {
  struct addresses *all = data;
  const struct ifaddrmsg *address = NLMSG_DATA(message);
  int kept = address->ifa_scope == RT_SCOPE_UNIVERSE && (address->ifa_flags & IFA_F_PERMANENT) != 0;
  if ((int)address->ifa_index != all->index || !kept) return 0;
  struct request *larger = realloc(all->list, (all->count + 1) * sizeof *larger);
  if (larger == NULL) return -ENOMEM;
  all->list = larger;
  struct request *request = &larger[all->count++];
  *request = new_request(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof *address);
  request->body.address = *address;
  long rest = (long)IFA_PAYLOAD(message);
  for (const struct rtattr *at = IFA_RTA(address); RTA_OK(at, rest); at = RTA_NEXT(at, rest)) {
    /* A label begins with the name of its device. */
    if (at->rta_type == IFA_LABEL && all->renamed) continue;
    int error = add_attribute(request, at->rta_type, RTA_DATA(at), RTA_PAYLOAD(at));
    if (error < 0) return error;
  }
  return 0;
}

static int open_socket(struct context *context) {
  long fd = SYSCALL3(socket, 16 /* AF_NETLINK */, 3 /* SOCK_RAW */ | O_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return failed(context, "socket(NETLINK_ROUTE)", "", fd);
  int on = 1;
  SYSCALL5(setsockopt, fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  return (int)fd;
}

static int move(struct context *context, int socket, const struct step_move_net_device *step,
                struct addresses *addresses) {
  int inside = context->slots[SLOT_NETWORK];
  int index = find_device(context, socket, step->name);
  if (index < 0) return failed(context, "RTM_GETLINK", step->name, index);
  /* Asked before the move: a device that cannot be renamed any more would be lost with the container. */
  int taken = find_device(context, inside, step->new_name);
  if (taken != -ENODEV) return failed(context, "RTM_GETLINK", step->new_name, taken < 0 ? taken : -EEXIST);
  context->message[0] = 0;

  addresses->index = index;
  struct request list = new_request(RTM_GETADDR, NLM_F_DUMP, sizeof list.body.address);
  int error = ask(context, socket, &list, keep_address, addresses);
  if (error < 0) return failed(context, "RTM_GETADDR", step->name, error);

  struct request request = new_request(RTM_NEWLINK, NLM_F_ACK, sizeof request.body.link);
  request.body.link.ifi_index = index;
  uint32_t pid = (uint32_t)context->pid;
  add_attribute(&request, IFLA_NET_NS_PID, &pid, sizeof pid);
  error = add_attribute(&request, IFLA_IFNAME, step->new_name, strlen(step->new_name) + 1);
  if (error == 0) error = ask(context, socket, &request, NULL, NULL);
  if (error < 0) return failed(context, "RTM_NEWLINK", step->name, error);

  /* Its number may be another one there. */
  index = find_device(context, inside, step->new_name);
  if (index < 0) return failed(context, "RTM_GETLINK", step->new_name, index);
  for (size_t i = 0; i < addresses->count; i++) {
    addresses->list[i].body.address.ifa_index = (uint32_t)index;
    error = ask(context, inside, &addresses->list[i], NULL, NULL);
    if (error < 0) return failed(context, "RTM_NEWADDR", step->new_name, error);
  }
  struct request up = new_request(RTM_NEWLINK, NLM_F_ACK, sizeof up.body.link);
  up.body.link.ifi_index = index;
  up.body.link.ifi_flags = up.body.link.ifi_change = IFF_UP;
  error = ask(context, inside, &up, NULL, NULL);
  return error < 0 ? failed(context, "RTM_NEWLINK", step->new_name, error) : 0;
}

int step_move_net_device(struct context *context, const struct step_move_net_device *step) {
  int socket = open_socket(context);
  if (socket < 0) return socket;
  struct addresses addresses = {.renamed = strcmp(step->name, step->new_name) != 0};
  int error = move(context, socket, step, &addresses);
  free(addresses.list);
  close_fd(socket);
  return error;
}
