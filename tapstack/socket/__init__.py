"""The standard library's `socket`, over tapstack: the same names, constants and exceptions.

    from tapstack import socket
    with socket.create_connection(("10.0.0.2", 80)) as connection:
        ...

A plain `socket.socket()` belongs to the default stack, which comes up on first use, from
`tapstack.configure(...)` or from TAPSTACK_DEV, TAPSTACK_ADDR and TAPSTACK_HOST_ADDR.

Not done here: IPv6, name resolution, UNIX sockets.
"""

# The constants are the system's own: they mean the same here.
from socket import (
    AF_INET as AF_INET,
)
from socket import (
    AF_UNSPEC as AF_UNSPEC,
)
from socket import (
    AI_ADDRCONFIG as AI_ADDRCONFIG,
)
from socket import (
    AI_ALL as AI_ALL,
)
from socket import (
    AI_CANONNAME as AI_CANONNAME,
)
from socket import (
    AI_NUMERICHOST as AI_NUMERICHOST,
)
from socket import (
    AI_NUMERICSERV as AI_NUMERICSERV,
)
from socket import (
    AI_PASSIVE as AI_PASSIVE,
)
from socket import (
    AI_V4MAPPED as AI_V4MAPPED,
)
from socket import (
    EAI_ADDRFAMILY as EAI_ADDRFAMILY,
)
from socket import (
    EAI_AGAIN as EAI_AGAIN,
)
from socket import (
    EAI_BADFLAGS as EAI_BADFLAGS,
)
from socket import (
    EAI_FAIL as EAI_FAIL,
)
from socket import (
    EAI_FAMILY as EAI_FAMILY,
)
from socket import (
    EAI_MEMORY as EAI_MEMORY,
)
from socket import (
    EAI_NODATA as EAI_NODATA,
)
from socket import (
    EAI_NONAME as EAI_NONAME,
)
from socket import (
    EAI_OVERFLOW as EAI_OVERFLOW,
)
from socket import (
    EAI_SERVICE as EAI_SERVICE,
)
from socket import (
    EAI_SOCKTYPE as EAI_SOCKTYPE,
)
from socket import (
    EAI_SYSTEM as EAI_SYSTEM,
)
from socket import (
    INADDR_ALLHOSTS_GROUP as INADDR_ALLHOSTS_GROUP,
)
from socket import (
    INADDR_ANY as INADDR_ANY,
)
from socket import (
    INADDR_BROADCAST as INADDR_BROADCAST,
)
from socket import (
    INADDR_LOOPBACK as INADDR_LOOPBACK,
)
from socket import (
    INADDR_MAX_LOCAL_GROUP as INADDR_MAX_LOCAL_GROUP,
)
from socket import (
    INADDR_NONE as INADDR_NONE,
)
from socket import (
    INADDR_UNSPEC_GROUP as INADDR_UNSPEC_GROUP,
)
from socket import (
    IP_HDRINCL as IP_HDRINCL,
)
from socket import (
    IP_MULTICAST_TTL as IP_MULTICAST_TTL,
)
from socket import (
    IP_TOS as IP_TOS,
)
from socket import (
    IP_TTL as IP_TTL,
)
from socket import (
    IPPROTO_ICMP as IPPROTO_ICMP,
)
from socket import (
    IPPROTO_IP as IPPROTO_IP,
)
from socket import (
    IPPROTO_RAW as IPPROTO_RAW,
)
from socket import (
    IPPROTO_TCP as IPPROTO_TCP,
)
from socket import (
    IPPROTO_UDP as IPPROTO_UDP,
)
from socket import (
    MSG_CMSG_CLOEXEC as MSG_CMSG_CLOEXEC,
)
from socket import (
    MSG_CONFIRM as MSG_CONFIRM,
)
from socket import (
    MSG_CTRUNC as MSG_CTRUNC,
)
from socket import (
    MSG_DONTROUTE as MSG_DONTROUTE,
)
from socket import (
    MSG_DONTWAIT as MSG_DONTWAIT,
)
from socket import (
    MSG_EOR as MSG_EOR,
)
from socket import (
    MSG_ERRQUEUE as MSG_ERRQUEUE,
)
from socket import (
    MSG_FASTOPEN as MSG_FASTOPEN,
)
from socket import (
    MSG_MORE as MSG_MORE,
)
from socket import (
    MSG_NOSIGNAL as MSG_NOSIGNAL,
)
from socket import (
    MSG_OOB as MSG_OOB,
)
from socket import (
    MSG_PEEK as MSG_PEEK,
)
from socket import (
    MSG_TRUNC as MSG_TRUNC,
)
from socket import (
    MSG_WAITALL as MSG_WAITALL,
)
from socket import (
    NI_DGRAM as NI_DGRAM,
)
from socket import (
    NI_MAXHOST as NI_MAXHOST,
)
from socket import (
    NI_MAXSERV as NI_MAXSERV,
)
from socket import (
    NI_NAMEREQD as NI_NAMEREQD,
)
from socket import (
    NI_NOFQDN as NI_NOFQDN,
)
from socket import (
    NI_NUMERICHOST as NI_NUMERICHOST,
)
from socket import (
    NI_NUMERICSERV as NI_NUMERICSERV,
)
from socket import (
    SHUT_RD as SHUT_RD,
)
from socket import (
    SHUT_RDWR as SHUT_RDWR,
)
from socket import (
    SHUT_WR as SHUT_WR,
)
from socket import (
    SO_ACCEPTCONN as SO_ACCEPTCONN,
)
from socket import (
    SO_BINDTODEVICE as SO_BINDTODEVICE,
)
from socket import (
    SO_BROADCAST as SO_BROADCAST,
)
from socket import (
    SO_DEBUG as SO_DEBUG,
)
from socket import (
    SO_DOMAIN as SO_DOMAIN,
)
from socket import (
    SO_DONTROUTE as SO_DONTROUTE,
)
from socket import (
    SO_ERROR as SO_ERROR,
)
from socket import (
    SO_J1939_ERRQUEUE as SO_J1939_ERRQUEUE,
)
from socket import (
    SO_J1939_FILTER as SO_J1939_FILTER,
)
from socket import (
    SO_J1939_PROMISC as SO_J1939_PROMISC,
)
from socket import (
    SO_J1939_SEND_PRIO as SO_J1939_SEND_PRIO,
)
from socket import (
    SO_KEEPALIVE as SO_KEEPALIVE,
)
from socket import (
    SO_LINGER as SO_LINGER,
)
from socket import (
    SO_MARK as SO_MARK,
)
from socket import (
    SO_OOBINLINE as SO_OOBINLINE,
)
from socket import (
    SO_PASSCRED as SO_PASSCRED,
)
from socket import (
    SO_PASSSEC as SO_PASSSEC,
)
from socket import (
    SO_PEERCRED as SO_PEERCRED,
)
from socket import (
    SO_PEERSEC as SO_PEERSEC,
)
from socket import (
    SO_PRIORITY as SO_PRIORITY,
)
from socket import (
    SO_PROTOCOL as SO_PROTOCOL,
)
from socket import (
    SO_RCVBUF as SO_RCVBUF,
)
from socket import (
    SO_RCVLOWAT as SO_RCVLOWAT,
)
from socket import (
    SO_RCVTIMEO as SO_RCVTIMEO,
)
from socket import (
    SO_REUSEADDR as SO_REUSEADDR,
)
from socket import (
    SO_REUSEPORT as SO_REUSEPORT,
)
from socket import (
    SO_SNDBUF as SO_SNDBUF,
)
from socket import (
    SO_SNDLOWAT as SO_SNDLOWAT,
)
from socket import (
    SO_SNDTIMEO as SO_SNDTIMEO,
)
from socket import (
    SO_TYPE as SO_TYPE,
)
from socket import (
    SO_VM_SOCKETS_BUFFER_MAX_SIZE as SO_VM_SOCKETS_BUFFER_MAX_SIZE,
)
from socket import (
    SO_VM_SOCKETS_BUFFER_MIN_SIZE as SO_VM_SOCKETS_BUFFER_MIN_SIZE,
)
from socket import (
    SO_VM_SOCKETS_BUFFER_SIZE as SO_VM_SOCKETS_BUFFER_SIZE,
)
from socket import (
    SOCK_CLOEXEC as SOCK_CLOEXEC,
)
from socket import (
    SOCK_DGRAM as SOCK_DGRAM,
)
from socket import (
    SOCK_NONBLOCK as SOCK_NONBLOCK,
)
from socket import (
    SOCK_RAW as SOCK_RAW,
)
from socket import (
    SOCK_STREAM as SOCK_STREAM,
)
from socket import (
    SOL_IP as SOL_IP,
)
from socket import (
    SOL_SOCKET as SOL_SOCKET,
)
from socket import (
    SOL_TCP as SOL_TCP,
)
from socket import (
    SOL_UDP as SOL_UDP,
)
from socket import (
    SOMAXCONN as SOMAXCONN,
)
from socket import (
    TCP_CONGESTION as TCP_CONGESTION,
)
from socket import (
    TCP_CORK as TCP_CORK,
)
from socket import (
    TCP_DEFER_ACCEPT as TCP_DEFER_ACCEPT,
)
from socket import (
    TCP_FASTOPEN as TCP_FASTOPEN,
)
from socket import (
    TCP_INFO as TCP_INFO,
)
from socket import (
    TCP_KEEPCNT as TCP_KEEPCNT,
)
from socket import (
    TCP_KEEPIDLE as TCP_KEEPIDLE,
)
from socket import (
    TCP_KEEPINTVL as TCP_KEEPINTVL,
)
from socket import (
    TCP_LINGER2 as TCP_LINGER2,
)
from socket import (
    TCP_MAXSEG as TCP_MAXSEG,
)
from socket import (
    TCP_NODELAY as TCP_NODELAY,
)
from socket import (
    TCP_NOTSENT_LOWAT as TCP_NOTSENT_LOWAT,
)
from socket import (
    TCP_QUICKACK as TCP_QUICKACK,
)
from socket import (
    TCP_SYNCNT as TCP_SYNCNT,
)
from socket import (
    TCP_USER_TIMEOUT as TCP_USER_TIMEOUT,
)
from socket import (
    TCP_WINDOW_CLAMP as TCP_WINDOW_CLAMP,
)
from socket import (
    AddressFamily as AddressFamily,
)
from socket import (
    SocketKind as SocketKind,
)
from socket import (
    gaierror as gaierror,
)
from socket import (
    getdefaulttimeout as getdefaulttimeout,
)
from socket import (
    gethostname as gethostname,
)
from socket import (
    herror as herror,
)
from socket import (
    htonl as htonl,
)
from socket import (
    htons as htons,
)
from socket import (
    inet_aton as inet_aton,
)
from socket import (
    inet_ntoa as inet_ntoa,
)
from socket import (
    inet_ntop as inet_ntop,
)
from socket import (
    inet_pton as inet_pton,
)
from socket import (
    ntohl as ntohl,
)
from socket import (
    ntohs as ntohs,
)
from socket import (
    setdefaulttimeout as setdefaulttimeout,
)

from tapstack.socket.addresses import getaddrinfo as getaddrinfo
from tapstack.socket.default import create_connection as create_connection
from tapstack.socket.default import create_server as create_server
from tapstack.socket.default import has_dualstack_ipv6 as has_dualstack_ipv6
from tapstack.socket.default import socket as socket

error = OSError
timeout = TimeoutError
SocketType = socket
has_ipv6 = False
