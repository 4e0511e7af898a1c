document.title = `Tidings at ${location.host}`;
